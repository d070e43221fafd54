package main

import (
	"log"
	"os"

	"github.com/fsnotify/fsnotify"
)

// Where the controller manager makes a folder for each claim; the place is fixed.
const volumes = "/tmp/hostpath_pv"

// Claims on a real cluster are filled by a driver that minds the user and the group of the pod. Those of the test bed
// are folders of root, which no IOC may run as, so they are opened to everybody as soon as they are there.
func openVolumes() error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	if err := watcher.Add(volumes); err != nil {
		return err
	}
	go func() {
		for event := range watcher.Events {
			if event.Has(fsnotify.Create) {
				if err := os.Chmod(event.Name, 0o777); err != nil {
					log.Printf("volume %s stays closed: %v", event.Name, err)
				}
			}
		}
	}()
	return nil
}
