"""Stage `report`, under `finally`: says in a few lines how the run went, whatever happened.

Everything it knows comes from its environment; what an unlucky run could not provide is empty or missing, and it says so.
"""

import os


def line(label, name):
    """Returns one line of the report, from one environment variable."""
    return "%-14s %s" % (label, os.environ.get(name) or "none: the run did not get that far")


def main():
    print(line("accuracy", "ACCURACY"))
    print(line("hardest digit", "WORST_DIGIT"))
    print(line("serving", "STATUS"))


if __name__ == "__main__":
    main()
