"""What a careful user of python3-daemon writes to run a command as a daemon."""
import os
import sys

import daemon

with daemon.DaemonContext():
    os.execv(sys.argv[1], sys.argv[1:])
