// An agent that listens, of the standard library alone: it prints each event, and comes back where the stream ends.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// listen prints `ID DATA` of each event, and returns the id of the last one.
func listen(url string, token string, last string) string {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return last
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		fmt.Fprintln(os.Stderr, answer.Status)
		return last
	}
	fmt.Println("connected")
	lines := bufio.NewScanner(answer.Body)
	id := ""
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), "id: "); found {
			id = value
		} else if value, found := strings.CutPrefix(lines.Text(), "data: "); found {
			last = id
			fmt.Println(id, value)
		}
	}
	return last
}

func main() {
	for last := ""; ; time.Sleep(10 * time.Millisecond) {
		last = listen(os.Args[1], os.Args[2], last)
	}
}
