//! A request's paths as the server knows them: the chroot put before each.

use crate::address::Chroot;
use ostler_model::{CheckVersion, Create, Delete, MultiOp, Request, SetAcl, SetData, Text};
use std::borrow::Cow;

/// The same request with the server's paths.
pub(crate) fn outside<'a, 'b>(chroot: &Chroot, request: &'b Request<'a>) -> Cow<'b, Request<'a>> {
    if chroot.is_empty() {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    paths(&mut request, &mut |path| {
        if let Some(inside) = path {
            *inside = chroot.outside(inside).into();
        }
    });
    Cow::Owned(request)
}

/// The first path of a request, for messages; empty if it has none.
pub(crate) fn first<'r>(request: &'r Request<'_>) -> &'r str {
    let path = match request {
        Request::Create(Create { path, .. })
        | Request::Delete(Delete { path, .. })
        | Request::DeleteContainer { path }
        | Request::SetData(SetData { path, .. })
        | Request::SetAcl(SetAcl { path, .. })
        | Request::Sync { path }
        | Request::Exists { path, .. }
        | Request::GetData { path, .. }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. }
        | Request::GetAcl { path }
        | Request::GetEphemerals { prefix: path }
        | Request::GetAllChildrenNumber { path }
        | Request::AddWatch { path, .. }
        | Request::CheckWatches { path, .. }
        | Request::RemoveWatches { path, .. } => path.as_deref(),
        Request::MultiRead(reads) => reads.first().map(first),
        _ => None,
    };
    path.unwrap_or_default()
}

/// Shows every path of a request that names a znode.
pub(crate) fn paths<'a>(request: &mut Request<'a>, change: &mut dyn FnMut(&mut Text<'a>)) {
    match request {
        Request::Create(Create { path, .. })
        | Request::Delete(Delete { path, .. })
        | Request::DeleteContainer { path }
        | Request::SetData(SetData { path, .. })
        | Request::SetAcl(SetAcl { path, .. })
        | Request::Sync { path }
        | Request::Exists { path, .. }
        | Request::GetData { path, .. }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. }
        | Request::GetAcl { path }
        | Request::GetEphemerals { prefix: path }
        | Request::GetAllChildrenNumber { path }
        | Request::AddWatch { path, .. }
        | Request::CheckWatches { path, .. }
        | Request::RemoveWatches { path, .. } => change(path),
        Request::Multi(ops) => {
            for op in ops {
                match op {
                    MultiOp::Create(Create { path, .. })
                    | MultiOp::Delete(Delete { path, .. })
                    | MultiOp::SetData(SetData { path, .. })
                    | MultiOp::Check(CheckVersion { path, .. }) => change(path),
                    MultiOp::Refused(_) => (),
                }
            }
        }
        Request::MultiRead(reads) => reads.iter_mut().for_each(|read| paths(read, change)),
        Request::SetWatches { data, exist, child, persistent, recursive, .. } => {
            for list in [data, exist, child, persistent, recursive] {
                list.iter_mut().flatten().for_each(&mut *change);
            }
        }
        Request::Reconfig { .. }
        | Request::CreateSession { .. }
        | Request::CloseSession
        | Request::Ping
        | Request::WhoAmI
        | Request::Auth { .. }
        | Request::Sasl { .. } => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_a_multi_gets_the_chroot() {
        let chroot = Chroot::new("/app").expect("legal");
        let delete = |path: &'static str| MultiOp::Delete(Delete { path: Some(path.into()), version: -1 });
        let multi = Request::Multi(vec![delete("/a"), delete("/"), delete("relative")]);
        let expected = Request::Multi(vec![delete("/app/a"), delete("/app"), delete("relative")]);
        assert_eq!(*outside(&chroot, &multi), expected);
        assert_eq!(*outside(&Chroot::default(), &multi), multi);
    }
}
