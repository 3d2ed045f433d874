"""`python -m atmosphere` is the `atmosphere` command."""

from atmosphere.cli import main

if __name__ == "__main__":
    main()
