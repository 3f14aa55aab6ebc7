"""The registry: releases, the champion, and the records of runs."""
