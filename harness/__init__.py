"""How convolutions are checked, timed, stored and reported. What is measured is in `backends`."""
