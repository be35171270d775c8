"""`python -m reslab` is `reslab`."""

from reslab.commands.main import main

if __name__ == "__main__":
    main()
