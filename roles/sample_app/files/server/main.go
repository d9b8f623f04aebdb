// SPDX-License-Identifier: GPL-3.0-or-later

// Sample is a small HTTP server that says which version of itself it is.
//
// The image holds /release.json with the version and the behaviour; a release can so be
// made that crashes or never becomes ready. The commit it was delivered by comes from the
// environment, where the Deployment puts an annotation of the pod.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// release is what the image says about itself.
type release struct {
	Version   string `json:"version"`
	Behaviour string `json:"behaviour"` // ok, crash or notready
}

// answer is what a client gets to see.
type answer struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Pod     string `json:"pod"`
}

// build is the version of this program, set by the linker; not the version it serves.
var build = "0.0.0"

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		os.Stdout.WriteString("sample-server " + build + "\n")
		return
	}
	log.SetFlags(log.LstdFlags | log.LUTC | log.Lmsgprefix)
	log.SetOutput(os.Stdout)
	this, err := read(path())
	if err != nil {
		log.Fatalf("cannot read the release: %v", err)
	}
	log.Printf("sample %s starts, commit %s", this.Version, os.Getenv("COMMIT"))
	if this.Behaviour == "crash" {
		log.Print("loading the configuration of version " + this.Version)
		log.Print("migration 0042_add_orders: column \"total\" does not exist")
		log.Fatalf("sample %s cannot start: the migration failed", this.Version)
	}
	if err := serve(this); err != nil {
		log.Fatalf("sample %s stops: %v", this.Version, err)
	}
	log.Printf("sample %s has ended", this.Version)
}

func path() string {
	if file := os.Getenv("RELEASE_FILE"); file != "" {
		return file
	}
	return "/release.json"
}

func read(file string) (release, error) {
	var this release
	data, err := os.ReadFile(file)
	if err != nil {
		return this, err
	}
	if err := json.Unmarshal(data, &this); err != nil {
		return this, err
	}
	if this.Version == "" {
		return this, errors.New("it names no version")
	}
	return this, nil
}

// serve answers requests until it is told to end, and then finishes those under way.
func serve(this release) error {
	address := os.Getenv("ADDRESS")
	if address == "" {
		address = ":8080"
	}
	server := &http.Server{Addr: address, Handler: handler(this), ReadHeaderTimeout: 5 * time.Second}
	stop, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer release()
	go func() {
		<-stop.Done()
		// New connections may arrive until every node has taken this pod from the Service.
		time.Sleep(500 * time.Millisecond)
		limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(limit)
	}()
	log.Printf("listening on %s", address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func handler(this release) http.Handler {
	host, _ := os.Hostname()
	text, _ := json.Marshal(answer{Version: this.Version, Commit: os.Getenv("COMMIT"), Pod: host})
	say := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(append(text, '\n'))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/version", say)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if this.Behaviour == "notready" {
			http.Error(w, "waiting for the warehouse database", http.StatusServiceUnavailable)
			return
		}
		say(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		say(w, r)
	})
	return mux
}
