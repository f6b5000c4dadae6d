// A private service on Go's net/http. Its first line says where it listens.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
)

func serve(response http.ResponseWriter, request *http.Request) {
	if strings.HasPrefix(request.URL.Path, "/events/") {
		sendEvents(path.Base(request.URL.Path), response)
		return
	}
	response.Header().Set("Content-Type", "text/plain")
	switch request.URL.Path {
	case "/refuse":
		response.WriteHeader(413)
		io.WriteString(response, "too large\n")
	case "/echo":
		hash := sha256.New()
		length, _ := io.Copy(hash, request.Body)
		fmt.Fprintf(response, "%d %x\n", length, hash.Sum(nil))
	default:
		io.WriteString(response, "hello\n")
	}
}

func sendEvents(name string, response http.ResponseWriter) {
	response.Header().Set("Content-Type", "text/event-stream")
	for event := 1; event <= 3; event++ {
		for {
			if _, err := os.Stat(fmt.Sprintf("%s/%s-%d", os.Getenv("RELEASES"), name, event)); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		fmt.Fprintf(response, "data: %d\n\n", event)
		response.(http.Flusher).Flush()
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listens on port %d\n", listener.Addr().(*net.TCPAddr).Port)
	http.Serve(listener, http.HandlerFunc(serve))
}
