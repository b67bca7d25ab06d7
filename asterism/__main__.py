"""``python -m asterism`` is the ``asterism`` command."""

from asterism.cli import main

if __name__ == "__main__":
    main()
