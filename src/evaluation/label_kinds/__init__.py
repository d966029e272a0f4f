"""Kinds of labels: each module that defines ``LABEL`` is one, named by ``kind`` in a file of ``conf/label``."""
