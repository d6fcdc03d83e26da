"""The demo: owners, a trainer and a yardstick, each a process of its own, over real data.

``run`` starts and watches the processes, ``owner`` and ``trainer`` are what they run, ``messages`` is how they speak
to the one that started them, ``rows`` reads and splits data, ``models`` are what is trained, ``report`` writes HTML.
"""
