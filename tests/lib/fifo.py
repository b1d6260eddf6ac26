#!/usr/bin/env python3
"""
Clients (and four impostors of a daemon) for the FIFO tests, where a shell cannot do it (stage5-fifo.bats):
a shell cannot open a FIFO for reading before there is a writer, nor watch one for being opened.

    fifo.py ask FIFO ID COMMAND            the protocol by the book; prints the answer as it came
    fifo.py piecewise FIFO ID COMMAND GAP  the same, one byte per write, GAP seconds between them
    fifo.py patient FIFO ID COMMAND        its reply FIFO is full when it asks; it reads 0.3 s later
    fifo.py crowd FIFO WRITERS TIMES       parallel writers, every answer looked at; prints a summary
    fifo.py mute FIFO WRITERS TIMES LINE   parallel writers that want no answer
    fifo.py deaf FIFO ID COUNT             COUNT clients that never read, until killed; prints "ready"
    fifo.py hasty FIFO TIMES               clients that ask and are gone before the answer
    fifo.py unopened PATH... -- COMMAND... runs COMMAND; prints "untouched", or what happened to the FIFOs PATH
    fifo.py fill FIFO                      writes newlines until not one more fits
    fifo.py pieces FIFO PIECE...           writes each when what was written before has been read
    fifo.py daemon FIFO SIZE               answers one line with "ok" and SIZE bytes of body
    fifo.py mumble FIFO                    takes one line, begins an answer and never ends it
    fifo.py dribble FIFO GAP               takes one line, and answers a byte every GAP seconds, without end
    fifo.py break_off FIFO                 takes one line, opens the reply FIFO, and goes without a word
    fifo.py socket PATH                    leaves a socket under PATH
"""
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time

PATIENCE = 30 * float(os.environ.get("SLOWER") or 1)


def make_reply(path):
    """Makes the reply FIFO and opens it for reading: both before anything is asked."""
    os.umask(0o077)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def send(fifo, data):
    fd = os.open(fifo, os.O_WRONLY)
    try:
        while data:
            data = data[os.write(fd, data):]
    finally:
        os.close(fd)


def hear(fd):
    """Everything up to end of file. Before the first writer has come, poll() reports nothing."""
    deadline = time.monotonic() + PATIENCE
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    answer = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError("no end of the answer; what came of it: '%s'" %
                               answer[:200].decode(errors="backslashreplace"))
        try:
            part = os.read(fd, 65536)
        except BlockingIOError:
            continue
        if not part:
            return answer
        answer += part


def ask(fifo, name, command, speak=send):
    path = "%s.%s" % (fifo, name)
    fd = make_reply(path)
    try:
        speak(fifo, b"@%s %s\n" % (name.encode(), os.fsencode(command)))
        return hear(fd)
    finally:
        os.close(fd)
        os.unlink(path)


def show(answer):
    sys.stdout.buffer.write(answer)


def piecewise(fifo, name, command, gap):
    def speak(path, data):
        fd = os.open(path, os.O_WRONLY)
        for byte in data:
            os.write(fd, bytes([byte]))
            time.sleep(float(gap))
        os.close(fd)
    show(ask(fifo, name, command, speak))


def stuff(path, filler=b"x"):
    """Fills the FIFO path, which somebody has open for reading. Returns how many bytes fitted."""
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    count = 0
    try:
        fcntl.fcntl(fd, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
    except OSError:
        pass
    try:
        for size in (4096, 1):
            try:
                while True:
                    count += os.write(fd, filler * size)
            except BlockingIOError:
                pass
    finally:
        os.close(fd)
    return count


def patient(fifo, name, command):
    path = "%s.%s" % (fifo, name)
    fd = make_reply(path)
    keep = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # no end of file before the answer has begun
    count = stuff(path)
    send(fifo, b"@%s %s\n" % (name.encode(), command.encode()))
    time.sleep(0.3)
    answer = b""
    while len(answer) <= count:
        if not select.select([fd], [], [], PATIENCE)[0]:
            raise TimeoutError("no answer")
        answer += os.read(fd, 65536)
    os.close(keep)
    show((answer + hear(fd))[count:])
    os.unlink(path)


def wrong(kind, answer, reference):
    """What is wrong with the answer to a command of that kind; None when nothing is."""
    first = answer.split(b"\n", 1)[0]
    if not answer.endswith(b"\n"):
        return "cut"
    if kind == "help":
        return None if answer == reference else "not the help"
    if kind == "status":
        fine = first == b"ok" and answer.count(b"\nstate: ") == 1 and answer.count(b"ok\n") == 1
        return None if fine else "not one status"
    return None if first.startswith(b"error: ") and answer.count(b"error: ") == 1 else "not one error"


def crowd_member(fifo, number, times, reference):
    problems = 0
    for turn in range(times):
        kind = ("status", "help", "gibberish")[turn % 3]
        try:
            answer = ask(fifo, "w%dn%d" % (number, turn), kind)
            problem = wrong(kind, answer, reference)
        except (OSError, TimeoutError) as why:
            answer, problem = b"", str(why)
        if problem:
            problems += 1
            print("writer %d, %d, %s: %s: %r" % (number, turn, kind, problem, answer[:300]))
            if problems == 3:
                return 1
    return 1 if problems else 0


def fork_all(writers, job):
    """Runs job(number) in that many processes. Returns how many of them failed."""
    sys.stdout.flush()
    pids = []
    for number in range(writers):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = job(number)
                sys.stdout.flush()
            finally:
                os._exit(status)
        pids.append(pid)
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)


def crowd(fifo, writers, times):
    reference = ask(fifo, "first", "help")
    failed = fork_all(int(writers), lambda n: crowd_member(fifo, n, int(times), reference))
    print("%d writers, %d without a fault" % (int(writers), int(writers) - failed))


def mute_member(fifo, times, line):
    for _ in range(times):
        send(fifo, line)
    return 0


def mute(fifo, writers, times, line):
    failed = fork_all(int(writers), lambda n: mute_member(fifo, int(times), os.fsencode(line) + b"\n"))
    print("%d writers, %d without a fault" % (int(writers), int(writers) - failed))


def deaf(fifo, name, count):
    open_for_good = []
    for number in range(int(count)):
        mine = "%s%d" % (name, number)
        path = "%s.%s" % (fifo, mine)
        open_for_good.append(make_reply(path))
        stuff(path)
        send(fifo, b"@%s help\n" % mine.encode())
    print("ready", flush=True)
    signal.pause()


def hasty(fifo, times):
    for number in range(int(times)):
        path = "%s.gone%d" % (fifo, number)
        fd = make_reply(path)
        send(fifo, b"@gone%d help\n" % number)
        os.close(fd)
        if number % 2:  # the others leave it behind, as one does that is killed
            os.unlink(path)


def unopened(*words):
    paths, command = words[:words.index("--")], words[words.index("--") + 1:]
    poll = select.poll()
    names = {}
    for path in paths:
        if not os.path.exists(path):
            os.mkfifo(path, 0o600)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        names[fd] = path
        poll.register(fd, select.POLLIN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    touched = poll.poll(0)
    for fd, _ in touched:
        print("%s was opened, and this came: %r" % (names[fd], os.read(fd, 65536)[:200]))
    if not touched:
        print("untouched")


def fill(fifo):
    fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    for size in (65536, 4096, 1):
        try:
            while True:
                os.write(fd, b"\n" * size)
        except BlockingIOError:
            pass


def pieces(fifo, *parts):
    fd = os.open(fifo, os.O_WRONLY)
    deadline = time.monotonic() + PATIENCE
    for part in parts:
        os.write(fd, part.encode())
        while any(fcntl.ioctl(fd, termios.FIONREAD, bytes(4))):
            if time.monotonic() > deadline:
                raise TimeoutError("nobody reads")
            time.sleep(0.002)


def line_from(fifo):
    """Makes FIFO, takes one line from it, and returns the path of the asker's reply FIFO."""
    os.mkfifo(fifo, 0o600)
    fd = os.open(fifo, os.O_RDWR)
    print("ready", flush=True)
    text = b""
    while b"@" not in text or b"\n" not in text[text.index(b"@"):]:
        text += os.read(fd, 4096)
    return "%s.%s" % (fifo, text[text.index(b"@") + 1:].split()[0].decode())


def daemon(fifo, size):
    reply = line_from(fifo)
    line = b"0123456789abcde\n"
    send(reply, b"ok\n" + line * (int(size) // len(line)))


def mumble(fifo):
    fd = os.open(line_from(fifo), os.O_WRONLY)
    os.write(fd, b"ok\nhalf a li")
    signal.pause()


def dribble(fifo, gap):
    fd = os.open(line_from(fifo), os.O_WRONLY)
    os.write(fd, b"ok\n")
    try:
        while True:
            os.write(fd, b".")
            time.sleep(float(gap))
    except BrokenPipeError:
        pass  # it has given up


def break_off(fifo):
    os.close(os.open(line_from(fifo), os.O_WRONLY))


def leave_socket(path):
    socket.socket(socket.AF_UNIX).bind(path)


def main():
    jobs = {
        "ask": lambda *a: show(ask(*a)), "piecewise": piecewise, "patient": patient, "crowd": crowd,
        "mute": mute, "deaf": deaf, "hasty": hasty, "unopened": unopened, "fill": fill, "pieces": pieces,
        "daemon": daemon, "mumble": mumble, "dribble": dribble, "break_off": break_off, "socket": leave_socket,
    }
    signal.alarm(int(2 * PATIENCE))  # whatever hangs, we do not
    try:
        jobs[sys.argv[1]](*sys.argv[2:])
    except (OSError, subprocess.CalledProcessError) as why:  # for a person, who did not write this program
        sys.exit("the test's own client (fifo.py %s): %s" % (sys.argv[1], why))


main()
