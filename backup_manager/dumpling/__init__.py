"""Dumpling: found, told what to do, run, watched, stopped, and its result judged.

Facts about Dumpling come from its source (pingcap/tidb, ``dumpling/``) and from runs of a real
v5.3 binary; where code leans on one, it says so.
"""
