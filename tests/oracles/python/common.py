"""
What the programs of stages 1 to 5 share, in the order of the stages.

This is the contract of the stages, written a second time, from the contract and not from the C:
Python 3.11 and its standard library, Linux. It is here to hold the tests to what the stages promise,
and to be compared with the C.
"""
import errno
import fcntl
import getopt
import os
import re
import select
import signal
import socket
import stat
import struct
import sys
import time

PIPE_BUF = select.PIPE_BUF


# ---- messages, options, numbers

class Failure(Exception):
    """Ends the program with that exit status, and says why: 'PROGRAM: WHAT: WHY'."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text


def because(what, error):
    """WHAT: WHY, for an OSError."""
    return "%s: %s" % (what or "''", os.strerror(error.errno) if error.errno else error)


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def say(text):
    """One line on standard output; whoever cannot say it has failed."""
    try:
        write_all(1, os.fsencode(text) + b"\n")
    except OSError as error:
        raise Failure(1, because("standard output", error)) from error


def complain(program, text):
    try:
        write_all(2, os.fsencode("%s: %s\n" % (program, text)))
    except OSError:
        pass


def program(name, main):
    """Runs main(arguments) and leaves with the status that it returns."""
    # Python has taken these two for itself, and gives INT a traceback.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        status = main(sys.argv[1:])
    except Failure as failure:
        complain(name, failure.text)
        status = failure.status
    os._exit(status)


def options(name, usage, letters, arguments, bad_usage):
    """Returns {letter: value} and what follows the options. -h and -V end the program."""
    try:
        found, rest = getopt.getopt(arguments, letters + "hV")
    except getopt.GetoptError as error:
        raise Failure(bad_usage, "%s: see %s -h" % (error.msg, name)) from error
    for letter, _ in found:
        if letter in ("-h", "-V"):
            say(usage.strip("\n") if letter == "-h" else name + " 1.0 (Python)")
            os._exit(0)
    return {letter[1]: value for letter, value in found}, rest


def seconds(what, text, bad_usage):
    """Seconds, with decimals: digits and one point, nothing else."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII) or float(text) > 1e9:
        raise Failure(bad_usage, "%s %s: not a number of seconds" % (what, text))
    return float(text)


def count(what, text, bad_usage):
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise Failure(bad_usage, "%s %s: not a number of times" % (what, text))
    return int(text)


def octal(what, text, bad_usage):
    if not re.fullmatch(r"[0-7]+", text, re.ASCII) or int(text, 8) > 0o777:
        raise Failure(bad_usage, "%s %s: not an octal umask" % (what, text))
    return int(text, 8)


# ---- stage 1: become another program

def environment():
    """The environment as it was: Python may have added LC_CTYPE to its own."""
    try:
        with open("/proc/self/environ", "rb") as file:
            entries = file.read().split(b"\0")
        return dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)
    except OSError:
        return dict(os.environb)


def places(name, env):
    """The paths at which COMMAND may be found, so that they hold in any directory."""
    try:
        here = os.getcwdb()
    except OSError:  # the directory was deleted
        here = b"."
    if b"/" in name:
        return [os.path.join(here, name)]
    folders = env.get(b"PATH", b"/bin:/usr/bin").split(b":")
    return [os.path.join(here, folder, name) for folder in folders]


def execute(command, paths, env):
    """Becomes COMMAND, found at the first of the paths. Returns never: Failure 126 or 127 says why."""
    name, arguments = command[0], [os.fsencode(word) for word in command]
    refusal = None
    for path in paths if name else []:
        try:
            os.execve(path, arguments, env)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.isfile(path):
                raise Failure(126, name + ": the interpreter that it names is not there") from None
        except OSError as error:
            if error.errno == errno.ENOEXEC:  # a script without '#!' is one for sh, since ever
                os.execve(b"/bin/sh", [b"sh", path] + arguments[1:], env)
            refusal = refusal or error
            if not isinstance(error, PermissionError):
                break
    if refusal:
        raise Failure(126, because(name, refusal))
    raise Failure(127, "%s: %s" % (name or "''", os.strerror(errno.ENOENT)))


# ---- stage 2: a true daemon, and the truth about its launch

def standard_streams():
    """Opens /dev/null where 0, 1 or 2 is closed. Returns those that were open."""
    were_open = []
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
            were_open.append(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is fd
            os.set_inheritable(fd, True)
    return were_open


def default_signals():
    """No signal ignored, none caught, none blocked."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    with open("/proc/self/status", "rb") as file:
        ignored = int(re.search(rb"SigIgn:\s*(\w+)", file.read())[1], 16)
    # What is left are signals 32 and 33. glibc keeps them for itself and refuses to change them; the kernel does not.
    for number in (number for number in range(1, 65) if ignored >> number - 1 & 1):
        import ctypes
        rt_sigaction = {"x86_64": 13, "aarch64": 134}[os.uname().machine]
        ctypes.CDLL(None).syscall(rt_sigaction, number, bytes(32), None, 8)


def descriptors(stdin, stdout, stderr, keep=None):
    """0, 1 and 2 are these three, 3 is the one to keep until exec, and there is no other."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 4)
            for fd in (stdin, stdout, stderr, keep) if fd is not None]
    for number, fd in enumerate(high):
        os.dup2(fd, number, inheritable=number < 3)
    os.closerange(len(high), 2**31 - 1)


def launch(work, limit, failed, umask=0o027, directory="/", stdout=None, stderr=None):
    """
    Runs work(tell) as a daemon. Returns its pid, and its session's number, after it has said tell(b'ready'), or has said
    tell(b'exec') and executed another program; otherwise Failure, with the status that the daemon gave,
    or else with 'failed'. Whatever was begun is then gone. limit is in seconds.
    """
    end = time.monotonic() + limit
    # Both ends close by themselves at exec. One packet is one word.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    null = os.open(os.devnull, os.O_RDWR)
    streams = [null, null if stdout is None else stdout, null if stderr is None else stderr]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or nobody can be waited for
    try:
        middle = os.fork()
    except OSError as error:
        raise Failure(failed, because("fork", error)) from error
    if middle == 0:
        be_middle(theirs, work, failed, umask, directory, streams)
    theirs.close()
    pid = None
    try:
        executing = False
        while True:
            word, _, rest = hear(ours, end, failed).partition(b" ")
            if word == b"pid":
                pid = int(rest)
                wait_for(middle, end, failed)
                os.waitpid(middle, 0)
                ours.send(b"go")  # from here on its parent is init
            elif word == b"exec":
                executing = True
            elif word == b"ready":
                return pid, middle
            elif word == b"failed":
                status, _, text = rest.partition(b" ")
                raise Failure(int(status), os.fsdecode(text))
            elif executing and not died_before_exec(pid):
                return pid, middle
            else:
                raise Failure(failed, "the launch: the daemon died without a word")
    except Failure:
        sweep(middle, pid)
        raise
    finally:
        ours.close()
        os.close(null)


def hear(line, end, failed):
    """The next word; an empty one at the end of the line."""
    left = end - time.monotonic()
    if left <= 0 or not select.select([line], [], [], left)[0]:
        raise Failure(failed, "the launch: it took too long and was ended")
    try:
        return line.recv(65536)
    except ConnectionResetError:
        return b""


def wait_for(pid, end, failed):
    """Waits for the end of a process, by a handle: no polling, and a zombie has ended."""
    handle = os.pidfd_open(pid)
    try:
        if not select.select([handle], [], [], max(0, end - time.monotonic()))[0]:
            raise Failure(failed, "the launch: it took too long and was ended")
    finally:
        os.close(handle)


def be_middle(line, work, failed, umask, directory, streams):
    """The child of the first fork: leads the new session, has a child that does not, and is gone."""
    def tell(word):
        line.send(word, socket.MSG_NOSIGNAL)

    try:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.setsid()
            if os.fork() > 0:
                os._exit(0)
            tell(b"pid %d" % os.getpid())
            if line.recv(2) != b"go":
                os._exit(failed)
            default_signals()
            os.umask(umask)
        except OSError as error:
            raise Failure(failed, because("detaching", error)) from error
        try:
            os.chdir(directory)
        except OSError as error:
            raise Failure(failed, because(directory, error)) from error
        descriptors(*streams, line.fileno())
        line.detach()
        line = socket.socket(fileno=3)
        work(tell)
    except Failure as failure:
        tell(b"failed %d " % failure.status + os.fsencode(failure.text))
    except OSError as error:
        tell(b"failed %d " % failed + os.fsencode(because("detaching", error)))
    except Exception as error:
        tell(b"failed %d " % failed + os.fsencode("a bug of ours: %r" % error))
    finally:
        os._exit(failed)


def died_before_exec(pid):
    """Linux's flag for 'forked, and never executed anything'. Gone with the zombie, when nobody can tell."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return int(fields[6]) & 0x40 != 0


def sweep(middle, pid):
    """Kills what a launch has begun: the middle process first, for it could make more."""
    for process in (middle, pid):
        try:
            if process is not None:
                handle = os.pidfd_open(process)
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], 1)
        except OSError:
            pass  # it is gone
    try:
        os.killpg(middle, signal.SIGKILL)  # the session's number is its group's number too
    except OSError:
        pass
    try:
        os.waitpid(middle, 0)
    except OSError:
        pass


# ---- stage 3: who is running?

class Pidfile:
    """Who holds the lock on this file runs. What stands in it is for people."""

    # struct flock: type, whence, start, length, pid
    FLOCK = "hhqqi4x"

    def __init__(self, path, shown):
        self.path, self.shown, self.fd = path, shown, None

    def open(self, flags):
        """Opens the file without following links; refuses what is not a regular file of ours."""
        try:
            self.fd = os.open(self.path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o644)
            found = os.fstat(self.fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            why = "a symbolic link, refused" if error.errno == errno.ELOOP else os.strerror(error.errno)
            raise Failure(1, "%s: %s" % (self.shown, why)) from error
        if not stat.S_ISREG(found.st_mode):
            raise Failure(1, self.shown + ": not a regular file, refused")
        if found.st_uid != os.geteuid() or found.st_nlink > 1:
            raise Failure(1, self.shown + ": not a file of ours alone, refused")

    def close(self):
        os.close(self.fd)
        self.fd = None

    def holder(self, lock=fcntl.F_RDLCK):
        """The pid of the process whose lock stands in the way of ours, or None. A read lock asks for daemons only."""
        ask = struct.pack(self.FLOCK, lock, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(self.FLOCK, fcntl.fcntl(self.fd, fcntl.F_GETLK, ask))
        if kind == fcntl.F_RDLCK:
            raise Failure(1, self.shown + ": somebody keeps a read lock on it")
        return None if kind == fcntl.F_UNLCK else pid

    def still_ours(self):
        """True while the name leads to the file that we have locked. Opens nothing: a close would drop the lock."""
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(self.fd))
        except OSError:
            return False

    def take(self):
        """Locks the file and writes our pid into it, or fails and names who runs."""
        try:
            while self.fd is None:
                self.open(os.O_RDWR | os.O_CREAT)
                try:
                    fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    taken = True
                except (PermissionError, BlockingIOError):
                    pid, taken = self.holder(fcntl.F_WRLCK), False
                    if pid is not None:
                        raise Failure(1, "already running, pid %d" % pid) from None
                # It may have been deleted or replaced between the open and the lock.
                if not taken or not self.still_ours():
                    self.close()
        except FileNotFoundError as error:
            raise Failure(1, because(self.shown, error)) from error
        try:
            os.ftruncate(self.fd, 0)
            write_all(self.fd, b"%d\n" % os.getpid())
        except OSError as error:
            self.remove()
            raise Failure(1, because(self.shown, error)) from error

    def remove(self):
        """Under the lock, and only if it is the one that we made. The lock itself goes with the process."""
        if self.still_ours():
            os.unlink(self.path)

    def find(self):
        """The pid and a handle of who runs, or None. With the handle no stranger can be meant."""
        try:
            self.open(os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            while True:
                pid = self.holder()
                if pid is None:
                    return None
                try:
                    handle = os.pidfd_open(pid)
                except ProcessLookupError:
                    continue
                if self.holder() == pid:
                    return pid, handle
                os.close(handle)
        finally:
            self.close()


def status(pidfile):
    """Says who runs. Returns the code that the LSB gives it."""
    try:
        pidfile.open(os.O_RDONLY)
        pid = pidfile.holder()
    except FileNotFoundError:
        say("not running")
        return 3
    except Failure as failure:
        raise Failure(4, "cannot tell by " + failure.text) from failure
    if pid is None:
        say("dead, but the pid file remains")
        return 1
    say("running, pid %d" % pid)
    return 0


def stop(pidfile, patience):
    """TERM, and after 'patience' seconds KILL. Returns when the daemon is gone."""
    found = pidfile.find()
    if found is None:
        say("not running")
        return 0
    pid, handle = found
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, None)):
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            break
        except OSError as error:
            raise Failure(1, because("stopping pid %d" % pid, error)) from error
        if select.select([handle], [], [], wait)[0]:
            break
    os.close(handle)
    say("stopped, pid %d" % pid)
    return 0


def start(service, settings):
    """Launches service(settings, ready) as a daemon, and says so when it is ready."""
    def work(tell):
        os._exit(service(settings, lambda: tell(b"ready")))

    pid, _ = launch(work, 60, 1, settings.umask, settings.directory)
    say("started, pid %d" % pid)
    return 0


def run(service, settings):
    """The same in the foreground: with our parent and in our session."""
    os.umask(settings.umask)
    try:
        os.chdir(settings.directory)
    except OSError as error:
        raise Failure(1, because(settings.directory, error)) from error
    return service(settings, lambda: None)


class Settings:
    """What the command line of repeatd says."""

    LETTERS = "p:o:C:m:i:n:t:"

    def __init__(self, found):
        self.log_shown, self.pid_shown = found.get("o", "repeatd.log"), found.get("p", "repeatd.pid")
        self.directory = found.get("C", "/")
        self.umask = octal("-m", found.get("m", "027"), 2)
        self.interval = seconds("-i", found.get("i", "5"), 2)
        self.times = count("-n", found["n"], 2) if "n" in found else None
        self.patience = seconds("-t", found.get("t", "10"), 2)
        try:
            # relative names mean the caller's directory, from which we go away
            self.log = "-" if self.log_shown == "-" else os.path.join(os.getcwd(), self.log_shown)
            self.pidfile = Pidfile(os.path.join(os.getcwd(), self.pid_shown), self.pid_shown)
        except OSError as error:
            raise Failure(1, because("the current directory", error)) from error
        if self.log == self.pidfile.path:
            raise Failure(2, "-p and -o: the same file for both: " + self.log_shown)
        self.environment = environment()
        self.command = self.paths = None

    def take_command(self, command):
        self.command = command
        self.paths = places(os.fsencode(command[0]), self.environment)


def serve(service, settings, rest):
    """Does what the verb says. Returns the exit status."""
    verb, command = (rest[0], rest[1:]) if rest else (None, [])
    if verb not in ("start", "stop", "restart", "status", "run"):
        raise Failure(2, "VERB: start, stop, restart, status or run" if verb is None else verb + ": no such verb")
    if verb in ("start", "restart", "run"):
        if not command:
            raise Failure(2, verb + ": COMMAND is missing")
        settings.take_command(command)
    elif command:
        raise Failure(2, "%s: nothing may follow, options go before it: %s" % (verb, command[0]))
    if verb == "status":
        return status(settings.pidfile)
    if verb in ("stop", "restart"):
        stop(settings.pidfile, settings.patience)
    if verb in ("start", "restart"):
        return start(service, settings)
    return run(service, settings) if verb == "run" else 0


class Timetable:
    """Beat k is at t0 + k * interval. Missed beats are skipped. Seconds on the monotonic clock."""

    def __init__(self, interval):
        self.interval, self.t0, self.k = interval, time.monotonic(), 0

    def next(self):
        return self.t0 + self.k * self.interval

    def advance(self):
        """To the first beat after this one that is not over yet."""
        if self.interval == 0:
            self.t0 = time.monotonic()
            return
        self.k += 1
        passed = (time.monotonic() - self.t0) / self.interval
        if self.k < passed:
            self.k = int(passed) + 1


def ended_how(status):
    """In words, how a child ended; None if it was well."""
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return None
    return "ended with status %d" % code if code > 0 else "was killed by signal %d" % -code
