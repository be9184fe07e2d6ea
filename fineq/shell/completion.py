"""What can be typed behind `fineq`, as scripts for shells that know it without calling fineq.

The words are a tree of cases: over the subcommand, over the first word behind it, and over the word
that is being typed, where a name with `=` is followed by its values. It is written down in each
shell's own language.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fineq.settings.fields import Leaf, is_numeric, leaves
from fineq.shell.command import ABOUT, COMMANDS
from fineq.shell.experiments import experiments, names
from fineq.shell.options import SWITCHES
from fineq.shell.places import CONFIGS
from fineq.shell.words import groups
from fineq.studies.area import AREAS, Area, area_of

COMMAND, FIRST, TYPED = "$1", "$2", "$3"  # what is decided over


class Case(NamedTuple):
    """A decision: the first entry of which a pattern matches.

    Attributes:
        over: one of `COMMAND`, `FIRST` and `TYPED`.
        entries: patterns (`*` is anything) and what is proposed, or decided further.
    """

    over: str
    entries: list[tuple[list[str], "Case | list[str]"]]


def tree() -> Case:
    """All that can be typed."""
    top = [*(command.name for command in COMMANDS), *ABOUT]
    entries: list[tuple[list[str], Case | list[str]]] = [([""], top)]
    others = [command.name for command in COMMANDS if command.name != "run"]
    entries += [([name], _plain(name)) for name in others]
    studies = [name for area in AREAS for name in names(area_of(area))]
    runs: list[tuple[list[str], Case | list[str]]] = [([""], [*studies, *AREAS, "--help"])]
    runs += [([area, f"{area}/*"], _of_area(area_of(area))) for area in AREAS]
    return Case(COMMAND, [*entries, (["run"], Case(FIRST, runs))])


def _plain(name: str) -> Case:
    """What a subcommand says of itself: `PLACES`, `FIELDS`, `SWITCHES` and `VALUES`, if it does."""
    module = importlib.import_module(f"fineq.shell.commands.{name}")
    places, fields, switches = (
        getattr(module, part, ()) for part in ("PLACES", "FIELDS", "SWITCHES")
    )
    words = [*places, *(f"{field}=" for field in fields), *switches, "--help"]
    return _with_values(words, getattr(module, "VALUES", {}))


def _of_area(area: Area) -> Case:
    """Fields, axes and switches of an area's command line, and the values that are words."""
    found = list(leaves(area.config_type()))
    chosen = {group: _files(area, group) for group in groups(area)}
    values = {leaf.path: known for leaf in found if (known := _values(leaf))} | chosen
    fields = [*dict.fromkeys((*chosen, *(leaf.path for leaf in found)))]
    axes = [f"sweep.{leaf.path}=" for leaf in found if is_numeric(leaf)]
    return _with_values([*(f"{name}=" for name in fields), *axes, *SWITCHES, "--from"], values)


def _files(area: Area, group: str) -> list[str]:
    if group == "experiment":
        return names(area)
    if group == "setting":
        return sorted({name for one in experiments(area) for name in one.settings})
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def _values(leaf: Leaf) -> list[str]:
    if leaf.spec.depths:
        return []
    return ["true", "false"] if "bool" in str(leaf.annotation) else list(leaf.spec.choices)


def _with_values(words: Iterable[str], values: Mapping[str, Sequence[str]]) -> Case:
    known: list[tuple[list[str], Case | list[str]]] = [
        ([f"{name}=*"], [f"{name}={value}" for value in among]) for name, among in values.items()
    ]
    return Case(TYPED, [*known, (["*=*"], []), (["*"], list(words))])


def script(shell: str) -> str:
    """The script for one of `SHELLS`."""
    head, function, tail = SHELLS[shell]
    return f"{HEAD.format(shell=shell)}{head}{function(tree(), '  ')}{tail}"


def _sh(case: Case, indent: str) -> str:
    """The tree as `case ... esac`, which bash and zsh read alike."""
    lines = [f'{indent}case "{case.over}" in\n']
    for patterns, found in case.entries:
        lines.append(f"{indent}  {'|'.join(p or chr(39) * 2 for p in patterns)})\n")
        lines.append(
            _sh(found, indent + "    ")
            if isinstance(found, Case)
            else f"{indent}    printf '%s\\n' {' '.join(found)} ;;\n"
            if found
            else f"{indent}    ;;\n"
        )
        if isinstance(found, Case):
            lines.append(f"{indent}    ;;\n")
    return "".join([*lines, f"{indent}esac\n"])


def _fish(case: Case, indent: str) -> str:
    """The tree as `switch ... end`."""
    lines = [f'{indent}switch "{_FISH[case.over]}"\n']
    for patterns, found in case.entries:
        lines.append(f"{indent}  case {' '.join(f'{p!r}' for p in patterns)}\n")
        if isinstance(found, Case):
            lines.append(_fish(found, indent + "    "))
        elif found:
            lines.append(f"{indent}    printf '%s\\n' {' '.join(found)}\n")
    return "".join([*lines, f"{indent}end\n"])


_FISH = {COMMAND: "$command", FIRST: "$first", TYPED: "$typed"}
HEAD = (
    "# fineq in {shell}; made by `fineq completion {shell}`, to be made again for a new version\n"
)
BASH = """}

_fineq() {
  local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \\t\\n'
  local -a words
  read -r -a words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  local n=${#words[@]} typed command='' first=''
  typed=${words[n-1]}
  (( n > 2 )) && command=${words[1]}
  (( n > 3 )) && first=${words[2]}
  local bare=${typed#[\\'\\"]}
  IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(_fineq_words "$command" "$first" "$bare")" -- "$bare"))
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  # Where = ends a word, only what stands behind it is replaced.
  if [[ $bare == "$typed" && $typed == *=* && $COMP_WORDBREAKS == *=* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${typed%=*}="}")
  fi
}
complete -o default -F _fineq fineq
"""
ZSH = """}

_fineq() {
  local command='' first=''
  (( CURRENT > 2 )) && command=$words[2]
  (( CURRENT > 3 )) && first=$words[3]
  local -a found open closed
  found=(${(f)"$(_fineq_words "$command" "$first" "$PREFIX")"})
  open=(${(M)found:#*=}) closed=(${found:#*=})
  local shown=1
  (( $#open )) && compadd -S '' -a open && shown=0
  (( $#closed )) && compadd -a closed && shown=0
  (( shown )) && _files
  return shown
}
compdef _fineq fineq
"""
FISH = """end

complete -c fineq -f -a '(__fineq_words)'
complete -c fineq -F -n '__fish_seen_subcommand_from show compare redraw'
"""
FISH_HEAD = """
function __fineq_words
  set -l before (commandline -opc)
  set -l typed (string replace -r "^['\\"]" '' -- (commandline -ct))
  set -l command ''
  set -l first ''
  test (count $before) -ge 2; and set command $before[2]
  test (count $before) -ge 3; and set first $before[3]
"""
SH_HEAD = "\n_fineq_words() {\n"
SHELLS = {
    "bash": (SH_HEAD, _sh, BASH),
    "zsh": (SH_HEAD, _sh, ZSH),
    "fish": (FISH_HEAD, _fish, FISH),
}
