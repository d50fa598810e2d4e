"""Asks an endpoint again and again: python3 ask.py URL [TIMES]; without TIMES until Ctrl-C.

It prints how the answers were, and ends with 1 when one of them was none."""
import collections
import json
import random
import signal
import sys
import time
import urllib.error
import urllib.request


def ask(url):
    length = random.choice((random.gauss(1.5, 0.2), random.gauss(5.5, 0.5)))
    question = urllib.request.Request(url, json.dumps({"length": length}).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(question, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code
    except OSError as e:
        return str(e)


signal.signal(signal.SIGTERM, signal.default_int_handler)
url, times = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10**9
answers = collections.Counter()
try:
    for _ in range(times):
        answers[ask(url)] += 1
        time.sleep(0.01)
except KeyboardInterrupt:
    pass
print(", ".join("%s: %d times" % one for one in answers.items()))
sys.exit(set(answers) - {200} != set())
