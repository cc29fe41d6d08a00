"""Runs programs for the scenario, whose own process is too big to be forked each time: see spawner.ts.

One JSON object a line: {id, command, cwd, input, seconds}, answered by {id, code, stdout, stderr}, code null after a signal, or by
{id, error} when it could not be started.
"""
import json
import subprocess
import sys
import threading

lock = threading.Lock()


def answer(**words):
    with lock:
        print(json.dumps(words), flush=True)


def run(id, command, cwd, input, seconds):
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(command, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        return answer(id=id, error=str(error))
    try:
        stdout, stderr = child.communicate(input.encode(), timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        stdout, stderr = child.communicate()
    code = child.returncode if child.returncode >= 0 else None
    answer(id=id, code=code, stdout=stdout.decode(errors="replace"), stderr=stderr.decode(errors="replace"))


for line in sys.stdin:
    threading.Thread(target=run, kwargs=json.loads(line), daemon=True).start()
