package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/edgexfoundry/go-mod-core-contracts/v4/errors"
)

// patience is how long something may take that comes by the message bus.
const patience = 20 * time.Second

var checks atomic.Int64

// fail tells where and why, and ends the program: what follows would only mislead.
func fail(format string, args ...any) {
	where, depth := "", 1
	for ; where == "" || strings.HasPrefix(where, "check.go"); depth++ {
		_, file, line, _ := runtime.Caller(depth)
		where = fmt.Sprintf("%s:%d", filepath.Base(file), line)
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", where, fmt.Sprintf(format, args...))
	os.Exit(1)
}

// must is the value of a call that has to succeed.
func must[T any](value T, err errors.EdgeX) T {
	if err != nil {
		fail("refused with %d: %s", err.Code(), err.Error())
	}
	checks.Add(1)
	return value
}

// fine is for calls of other modules, which answer with plain errors.
func fine(err error) {
	if err != nil {
		fail("%s", err.Error())
	}
	checks.Add(1)
}

// sure is the value of such a call.
func sure[T any](value T, err error) T {
	fine(err)
	return value
}

// equal compares as JSON, the form in which it travelled.
func equal(what string, got, want any) {
	gotText, _ := json.Marshal(got)
	wantText, _ := json.Marshal(want)
	if string(gotText) != string(wantText) {
		fail("%s is %s, not %s", what, gotText, wantText)
	}
	checks.Add(1)
}

func holds(what string, ok bool) {
	if !ok {
		fail("it does not hold that %s", what)
	}
	checks.Add(1)
}

// refused compares the status of a call that has to be refused.
func refused[T any](_ T, err errors.EdgeX) refusal {
	if err == nil {
		return refusal{}
	}
	return refusal{code: err.Code(), text: err.Error()}
}

type refusal struct {
	code int
	text string
}

func (r refusal) with(code int) {
	if r.code != code {
		fail("refused with %d, not %d: %s", r.code, code, r.text)
	}
	checks.Add(1)
}

// eventually asks until it is so.
func eventually(what string, ok func() bool) {
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			fail("it has not come to pass in %s that %s", patience, what)
		}
	}
	checks.Add(1)
}
