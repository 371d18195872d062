// Command noop answers every request with the bytes of a draw's answer and does
// nothing else: what HTTP alone costs on this machine.
package main

import (
	"fmt"
	"os"

	"github.com/valyala/fasthttp"
)

func main() {
	answer := []byte(`{"outcome":"granted","grant_id":"1-42","prize":"speed","user":"u1234567-42",` +
		`"granted_at":"2026-11-22T10:00:00.123456Z","repeat":false}`)
	err := fasthttp.ListenAndServe(os.Args[1], func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("application/json")
		ctx.SetBody(answer)
	})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
