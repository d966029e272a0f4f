"""Sets the clock of every Python process that finds this folder on its path (`tests/moment_case.py` puts it there)."""

import datetime as dt
import os
import time

if "ALPHA_TEST_SHIFT" in os.environ:
    import time_machine

    moment = time.time() + float(os.environ["ALPHA_TEST_SHIFT"])
    time_machine.travel(dt.datetime.fromtimestamp(moment, dt.UTC), tick=True).start()
