package rexec

import (
	"bytes"
	"errors"
	"os"
	"path"
	"strings"
)

// scriptPrefix begins the names of files with scripts; a session's ID follows.
const scriptPrefix = "rexec-"

// script writes a script into a file and returns the command that runs it; done must be
// called when that has ended.
func (r *Runner) script(call Call, script []byte) (args []string, done func(), err error) {
	file := path.Join(r.config.Dir, scriptPrefix+call.Session)
	if !path.IsAbs(file) {
		file = "./" + file // lest it be looked up in PATH, or taken for an option
	}
	done = func() {
		if err := r.config.Host.FS().Remove(file); err != nil {
			r.config.Logger.Warn("a script that was run could not be removed", "file", file, "error", err)
		}
	}
	return interpreted(file, script), done, r.writeScript(file, script)
}

func (r *Runner) writeScript(file string, script []byte) error {
	f, err := r.config.Host.FS().OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = f.Write(script)
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, r.config.Host.FS().Remove(file))
	}
	return err
}

// interpreted is the command that runs a script in a file: with what its first line
// names, as the system would, or with the shell. The system itself is not asked to, for
// the data directory may be where nothing is to be executed; it must be for a program.
func interpreted(file string, script []byte) []string {
	first, _, _ := bytes.Cut(script, []byte("\n"))
	line, named := strings.CutPrefix(string(first), "#!")
	interpreter, option, _ := strings.Cut(strings.ReplaceAll(strings.Trim(line, " \t"), "\t", " "), " ")
	switch option = strings.Trim(option, " "); {
	case bytes.ContainsRune(first, 0):
		return []string{file}
	case !named || interpreter == "":
		return []string{"/bin/sh", file}
	case option == "":
		return []string{interpreter, file}
	}
	return []string{interpreter, option, file}
}

// removeScripts removes all files with scripts. None may run.
func (r *Runner) removeScripts() error {
	there, err := r.config.Host.FS().ReadDir(r.config.Dir)
	for _, f := range there {
		if strings.HasPrefix(f.Name(), scriptPrefix) {
			err = errors.Join(err, r.config.Host.FS().Remove(path.Join(r.config.Dir, f.Name())))
		}
	}
	return err
}
