package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/consul/api"
)

func TestAnAgentOutlivesThoseWhoReadItsLog(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	dir, ports := t.TempDir(), freePorts(t, 3)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(build(t), "agent", "-server", "-bootstrap-expect", "1", "-data-dir", filepath.Join(dir, "data"), "-bind", "127.0.0.1",
		"-http-port", fmt.Sprint(ports[0]), "-server-port", fmt.Sprint(ports[1]), "-serf-lan-port", fmt.Sprint(ports[2]), "-dns-port=-1",
		"-log-file", filepath.Join(dir, "agent.log"))
	agent.Stdout, agent.Stderr = write, write
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	for lines := bufio.NewScanner(read); lines.Scan() && !strings.Contains(lines.Text(), "Log data"); {
	}
	_ = read.Close()
	c := api.DefaultNonPooledConfig()
	c.Address = fmt.Sprintf("127.0.0.1:%d", ports[0])
	client, err := api.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	for reloads := 1; reloads <= 2; reloads++ { // the first line that is written after the reader has gone, and one more
		if err := agent.Process.Signal(syscall.SIGHUP); err != nil {
			t.Error(err)
		}
		eventually(t, "the log's file", func() error {
			text, err := os.ReadFile(filepath.Join(dir, "agent.log"))
			if n := strings.Count(string(text), "the configuration was reloaded"); err == nil && n < reloads {
				return fmt.Errorf("%d of %d reloads are in it", n, reloads)
			}
			return err
		})
	}
	if _, err := client.Agent().Self(); err != nil {
		t.Error(err)
	}
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := agent.Wait(); err != nil {
		t.Error(err)
	}
}

func TestOtherVerbsEndWithThoseWhoReadThem(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = read.Close()
	version := exec.Command(build(t), "version")
	version.Stdout = write
	err = version.Run()
	if status, _ := version.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGPIPE {
		t.Errorf("it ended with %v", err)
	}
	_ = write.Close()
}
