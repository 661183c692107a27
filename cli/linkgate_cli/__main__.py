"""`python -m linkgate_cli`."""

from linkgate_cli.app import main

if __name__ == "__main__":
    main()
