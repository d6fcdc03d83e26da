"""Benchmarks: speed against limits and peers, as ratios taken side by side in one run.

``python -m benches`` prints all tables; ``python -m benches encode startup`` prints some.
"""
