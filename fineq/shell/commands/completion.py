"""`fineq completion`: a script by which a shell completes what is typed behind `fineq`."""

from collections.abc import Sequence

from fineq.errors import EXIT_DONE, InputError
from fineq.shell.commands.words import read

USAGE = """\
usage: fineq completion bash|zsh|fish

Prints a script by which the Tab key completes commands, studies, fields and
their choices; it holds them all, and calls nothing. Keep it where the shell
looks, and start a new shell:

  fineq completion bash > ~/.local/share/bash-completion/completions/fineq
  fineq completion zsh > ~/.fineq.zsh     and in ~/.zshrc: source ~/.fineq.zsh
  fineq completion fish > ~/.config/fish/completions/fineq.fish

For zsh the line stands below `autoload -Uz compinit && compinit`.
"""
PLACES = ("bash", "zsh", "fish")


def main(words: Sequence[str]) -> int:
    """Print the script."""
    given = read("completion", words, places=(1, 1), what="|".join(PLACES))
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    if given.places[0] not in PLACES:
        raise InputError(f"shell must be one of {', '.join(PLACES)}, got {given.places[0]}")
    from fineq.shell.completion import script

    print(script(given.places[0]), end="")
    return EXIT_DONE
