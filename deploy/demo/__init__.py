"""The demo: a simulated night through everything, in a home of its own (``<home>/demo``), made anew each time.

It uses the public commands where there are any: the night is played by ``asterism simulate night``, notices are
received by ``asterism voevent listen``, the API is ``asterism serve``. What it prints is read back from lake, graph and
API and held against the simulator's truth; ``demo/summary.json`` and ``demo/night.png`` keep it.
"""
