//! Names and data: slots of one size in pages of 64 KiB, a size class every 8 bytes (rules.md section 3).
//!
//! A blob is `[varint name length][varint data length + 1, 0 = null][name][data]`. A page belongs to one class until
//! all its slots are free; then any class can take it. Blobs above 4 KiB have an allocation of their own.
//!
//! Pages are kept for ever: when they were given back, the C library now and then returned all of a shrunken tree's
//! memory to the kernel in one call, 14 ms for 128 MB.

use super::chunks::Chunks;

const PAGE_BYTES: usize = 64 << 10;
const UNIT_BYTES: usize = 8;
const CLASS_MAX: usize = 512;
const NO_PAGE: u32 = u32::MAX;
const NO_SLOT: u16 = u16::MAX;
/// Set in references to blobs with their own allocation; the other bits are then an index.
const LARGE: u64 = 1 << 39;
/// Bits of a reference that say where in the page, in units of 8 bytes.
const UNIT_BITS: u32 = 13;

/// Where a blob is: 40 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobRef(pub u64);

impl BlobRef {
    fn in_page(page: u32, class: usize, slot: u16) -> BlobRef {
        let reference = u64::from(page) << UNIT_BITS | (usize::from(slot) * class) as u64;
        assert!(reference < LARGE, "more than 4 TB of names and data");
        BlobRef(reference)
    }

    fn page(self) -> u32 {
        (self.0 >> UNIT_BITS) as u32
    }

    fn offset(self) -> usize {
        (self.0 as usize & ((1 << UNIT_BITS) - 1)) * UNIT_BYTES
    }

    fn large(self) -> Option<u32> {
        (self.0 & LARGE != 0).then_some((self.0 & !LARGE) as u32)
    }
}

/// What a blob says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content<'a> {
    /// The last part of the path; UTF-8, because it was a str.
    pub name: &'a [u8],
    pub data: Option<&'a [u8]>,
}

/// What is known of a page; 0 is no class.
#[derive(Debug, Default)]
struct Page {
    class: u16,
    live: u16,
    /// First slot of the list of freed slots; each begins with the number of the next.
    freed: u16,
    /// Slots from here on were never used.
    fresh: u16,
    /// Neighbours among the pages of the class that have room.
    prev: u32,
    next: u32,
}

impl Page {
    fn slots(&self) -> u16 {
        (PAGE_BYTES / UNIT_BYTES / usize::from(self.class)) as u16
    }

    fn slot_range(&self, offset: usize) -> core::ops::Range<usize> {
        offset..offset + usize::from(self.class) * UNIT_BYTES
    }
}

#[derive(Debug, Default)]
struct Large {
    bytes: Box<[u8]>,
    next_free: u32,
}

type PageBytes = [u8; PAGE_BYTES];

/// All names and data of a tree.
#[derive(Debug)]
pub struct Blobs {
    /// The memory of each page, apart from the rest, so that reading a blob touches little else.
    memory: Chunks<Option<Box<PageBytes>>>,
    pages: Chunks<Page>,
    /// Pages without class; threaded through `next`.
    spare: u32,
    /// By class: the first page with room.
    with_room: Box<[u32; CLASS_MAX + 1]>,
    large: Chunks<Large>,
    large_free: u32,
}

impl Blobs {
    pub fn new() -> Blobs {
        Blobs {
            memory: Chunks::default(),
            pages: Chunks::default(),
            spare: NO_PAGE,
            with_room: Box::new([NO_PAGE; CLASS_MAX + 1]),
            large: Chunks::default(),
            large_free: u32::MAX,
        }
    }

    /// Reads a blob.
    pub fn get(&self, blob: BlobRef) -> Content<'_> {
        decode(match blob.large() {
            Some(index) => &self.large.at(index).bytes,
            None => &page_bytes(&self.memory, blob.page())[blob.offset()..],
        })
    }

    /// Keeps a new blob.
    pub fn insert(&mut self, content: Content<'_>) -> BlobRef {
        let length = encoded_length(content);
        let class = length.div_ceil(UNIT_BYTES);
        if class > CLASS_MAX {
            return self.insert_large(content, length);
        }
        let page_id = match self.with_room[class] {
            NO_PAGE => self.open_page(class),
            page => page,
        };
        let page = self.pages.at_mut(page_id);
        let slot = match page.freed {
            NO_SLOT => {
                page.fresh += 1;
                page.fresh - 1
            }
            slot => {
                let at = usize::from(slot) * class * UNIT_BYTES;
                let bytes = page_bytes(&self.memory, page_id);
                page.freed = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
                slot
            }
        };
        page.live += 1;
        let blob = BlobRef::in_page(page_id, class, slot);
        let range = page.slot_range(blob.offset());
        let full = page.live == page.slots();
        encode(content, &mut page_bytes_mut(&mut self.memory, page_id)[range]);
        if full {
            self.unlink(page_id);
        }
        blob
    }

    /// Forgets a blob.
    pub fn remove(&mut self, blob: BlobRef) {
        if let Some(index) = blob.large() {
            *self.large.at_mut(index) = Large { bytes: Box::default(), next_free: self.large_free };
            self.large_free = index;
            return;
        }
        let page_id = blob.page();
        let page = self.pages.at_mut(page_id);
        let was_full = page.live == page.slots();
        let at = blob.offset();
        let freed = page.freed.to_le_bytes();
        page_bytes_mut(&mut self.memory, page_id)[at..at + 2].copy_from_slice(&freed);
        page.freed = (at / UNIT_BYTES / usize::from(page.class)) as u16;
        page.live -= 1;
        if page.live == 0 {
            if !was_full {
                self.unlink(page_id);
            }
            *self.pages.at_mut(page_id) = Page { next: self.spare, ..Page::default() };
            self.spare = page_id;
        } else if was_full {
            self.link(page_id);
        }
    }

    /// Replaces the data of a blob, in place if its size allows it.
    pub fn set_data(&mut self, blob: BlobRef, data: Option<&[u8]>) -> BlobRef {
        let before = self.get(blob);
        let name_len = before.name.len();
        let class = encoded_length(Content { name: before.name, data }).div_ceil(UNIT_BYTES);
        let same_head = length_field_bytes(before.data) == length_field_bytes(data);
        if same_head && blob.large().is_none() && class == usize::from(self.pages.at(blob.page()).class) {
            self.overwrite_data(blob, name_len, data);
            return blob;
        }
        let name = before.name.to_vec();
        self.remove(blob);
        self.insert(Content { name: &name, data })
    }

    /// Writes data over data whose length field has the same size, in a slot where it fits.
    fn overwrite_data(&mut self, blob: BlobRef, name_len: usize, data: Option<&[u8]>) {
        let range = self.pages.at(blob.page()).slot_range(blob.offset());
        let slot = &mut page_bytes_mut(&mut self.memory, blob.page())[range];
        let field_at = varint_bytes(name_len);
        let data_at = field_at + write_varint(&mut slot[field_at..], length_field(data)) + name_len;
        let data = data.unwrap_or_default();
        slot[data_at..data_at + data.len()].copy_from_slice(data);
    }

    fn insert_large(&mut self, content: Content<'_>, length: usize) -> BlobRef {
        let mut bytes = vec![0; length].into_boxed_slice();
        encode(content, &mut bytes);
        let index = match self.large_free {
            u32::MAX => self.large.grow(),
            index => {
                self.large_free = self.large.at(index).next_free;
                index
            }
        };
        self.large.at_mut(index).bytes = bytes;
        BlobRef(LARGE | u64::from(index))
    }

    fn open_page(&mut self, class: usize) -> u32 {
        let id = match self.spare {
            NO_PAGE => {
                let bytes: Box<[u8]> = vec![0; PAGE_BYTES].into();
                let id = self.memory.grow();
                *self.memory.at_mut(id) = Some(bytes.try_into().expect("it was made with this length"));
                self.pages.grow()
            }
            id => {
                self.spare = self.pages.at(id).next;
                id
            }
        };
        *self.pages.at_mut(id) = Page { class: class as u16, freed: NO_SLOT, ..Page::default() };
        self.link(id);
        id
    }

    fn link(&mut self, id: u32) {
        let class = usize::from(self.pages.at(id).class);
        let next = core::mem::replace(&mut self.with_room[class], id);
        let page = self.pages.at_mut(id);
        (page.prev, page.next) = (NO_PAGE, next);
        if next != NO_PAGE {
            self.pages.at_mut(next).prev = id;
        }
    }

    fn unlink(&mut self, id: u32) {
        let Page { class, prev, next, .. } = *self.pages.at(id);
        match prev {
            NO_PAGE => self.with_room[usize::from(class)] = next,
            prev => self.pages.at_mut(prev).next = next,
        }
        if next != NO_PAGE {
            self.pages.at_mut(next).prev = prev;
        }
    }
}

fn page_bytes(memory: &Chunks<Option<Box<PageBytes>>>, page: u32) -> &PageBytes {
    memory.at(page).as_ref().expect("a page with blobs has memory")
}

fn page_bytes_mut(memory: &mut Chunks<Option<Box<PageBytes>>>, page: u32) -> &mut PageBytes {
    memory.at_mut(page).as_mut().expect("a page with blobs has memory")
}

fn length_field(data: Option<&[u8]>) -> usize {
    data.map_or(0, |data| data.len() + 1)
}

fn length_field_bytes(data: Option<&[u8]>) -> usize {
    varint_bytes(length_field(data))
}

fn encoded_length(content: Content<'_>) -> usize {
    let data = content.data.map_or(0, <[u8]>::len);
    varint_bytes(content.name.len()) + length_field_bytes(content.data) + content.name.len() + data
}

fn encode(content: Content<'_>, slot: &mut [u8]) {
    let mut at = write_varint(slot, content.name.len());
    at += write_varint(&mut slot[at..], length_field(content.data));
    for part in [content.name, content.data.unwrap_or_default()] {
        slot[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
}

fn decode(bytes: &[u8]) -> Content<'_> {
    let (name_len, at) = read_varint(bytes, 0);
    let (data_field, at) = read_varint(bytes, at);
    let name = &bytes[at..at + name_len];
    let data = (data_field > 0).then(|| &bytes[at + name_len..at + name_len + data_field - 1]);
    Content { name, data }
}

fn varint_bytes(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn write_varint(to: &mut [u8], mut value: usize) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        to[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    to[at] = value as u8;
    at + 1
}

fn read_varint(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = usize::from(bytes[at]);
        at += 1;
        value |= (byte & 0x7f) << shift;
        if byte < 0x80 {
            return (value, at);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content<'a>(name: &'a [u8], data: Option<&'a [u8]>) -> Content<'a> {
        Content { name, data }
    }

    #[test]
    fn empty_pages_serve_other_sizes() {
        let mut blobs = Blobs::new();
        let refs: Vec<_> = (0..10_000).map(|_| blobs.insert(content(b"name", Some(&[7; 60])))).collect();
        let pages = blobs.pages.len();
        for blob in refs {
            blobs.remove(blob);
        }
        for _ in 0..5_000 {
            blobs.insert(content(b"name", Some(&[7; 100])));
        }
        assert_eq!(blobs.pages.len(), pages);
    }

    #[test]
    fn the_profile_takes_72_bytes() {
        assert_eq!(encoded_length(content(&[b'n'; 24], Some(&[0; 46]))), 72);
    }

    fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
        let length = prop_oneof![8 => 0..300_usize, 1 => 4_000..4_200_usize, 1 => 16_300..16_400_usize];
        proptest::option::weighted(0.9, length.prop_flat_map(|n| proptest::collection::vec(any::<u8>(), n)))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_blob_keeps_its_content(steps in proptest::collection::vec((0..3_u8, any::<usize>(), "[a-z]{1,40}", data()), 1..300)) {
            let mut blobs = Blobs::new();
            let mut model: Vec<(BlobRef, String, Option<Vec<u8>>)> = Vec::new();
            for (kind, which, name, data) in steps {
                let which = which.checked_rem(model.len()).unwrap_or(0);
                match kind {
                    1 if !model.is_empty() => {
                        let (blob, _, kept) = &mut model[which];
                        *blob = blobs.set_data(*blob, data.as_deref());
                        *kept = data;
                    }
                    2 if !model.is_empty() => blobs.remove(model.swap_remove(which).0),
                    _ => {
                        let blob = blobs.insert(content(name.as_bytes(), data.as_deref()));
                        model.push((blob, name, data));
                    }
                }
                for (blob, name, data) in &model {
                    prop_assert_eq!(blobs.get(*blob), content(name.as_bytes(), data.as_deref()));
                }
            }
        }
    }
}
