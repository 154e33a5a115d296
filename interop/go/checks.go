// Named checks for the Go suite: one line each, "ok NAME" or "FAIL NAME: why", as interop/run counts them.
package main

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
)

var failed int

// check runs one named check; a panic with any value is its failure.
func check(name string, body func()) {
	defer func() {
		if why := recover(); why != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", name, why)
			for _, line := range strings.Split(string(debug.Stack()), "\n") {
				if strings.Contains(line, ".go:") && !strings.Contains(line, "/runtime/") {
					fmt.Println("    " + strings.TrimSpace(line))
				}
			}
			return
		}
		fmt.Println("ok " + name)
	}()
	body()
}

func equal(want, got interface{}) {
	if !reflect.DeepEqual(want, got) {
		panic(fmt.Sprintf("expected %v, got %v", want, got))
	}
}

func that(holds bool, message string) {
	if !holds {
		panic(message)
	}
}

func ok(err error) {
	if err != nil {
		panic(err)
	}
}

func eventually(what string, condition func() bool) {
	for end := time.Now().Add(60 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		that(time.Now().Before(end), "did not happen within 60 s: "+what)
	}
}
