"""`noria` and `python -m noria`."""

from noria.app.cli import main

if __name__ == "__main__":
    main()
