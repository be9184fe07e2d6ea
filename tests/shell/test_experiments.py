"""A study is registered once: what is listed, explained, reproduced and tabulated follows."""

import re
from pathlib import Path

import pytest

from fineq.shell.compose import compose
from fineq.shell.experiments import experiments, names, reproduced
from fineq.shell.options import help_text, listing
from fineq.shell.past import measured, minutes_of
from fineq.shell.places import CONFIGS
from fineq.studies.area import AREAS, area_of

ROOT = Path(__file__).parents[2]
each_area = pytest.mark.parametrize("area", [area_of(name) for name in AREAS], ids=AREAS)


@each_area
def test_every_study_has_an_experiment_and_the_order_is_that_of_registration(area):
    found = experiments(area)
    files = (CONFIGS / "experiment" / area.name).glob("*.yaml")
    assert sorted(one.name for one in found) == sorted(f"{area.name}/{f.stem}" for f in files)
    assert list(dict.fromkeys(one.study for one in found)) == list(area.studies)
    shown = [re.findall(r"^  (\S+/\S+)", listing(area), re.M), names(area)]
    assert shown[0] == shown[1]
    for name in names(area):
        assert name.partition("/")[2] in help_text(area)


@each_area
def test_all_but_demonstrations_are_reproduced_in_every_setting(area):
    configs = [compose(area, words) for words in reproduced(area)]
    assert [c.study for c in configs] == sorted(
        (c.study for c in configs), key=list(area.studies).index
    )
    runs = [" ".join(words) for words in reproduced(area)]
    assert len(set(runs)) == len(runs)
    chosen = {words[0].removeprefix("experiment=") for words in reproduced(area)}
    demo = {f"{area.name}/demo"}
    assert set(names(area)) - chosen == (demo if area.name in ("nlqr", "finetune") else set())
    settings = {words[1] for words in reproduced(area) if len(words) > 1}
    assert settings == ({"setting=printed", "setting=clear"} if area.name == "nlqr" else set())


@each_area
@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_pages_of_results_have_a_row_for_every_experiment_that_is_reproduced(area, page):
    rows = {cells[0] for cells in rows_of(page, area.name)}
    assert rows == {words[0].partition("/")[2] for words in reproduced(area)}


@each_area
def test_minutes_of_the_readme_are_those_that_were_measured(area):
    """Empty where nothing was, as in `fineq list`."""
    minutes = {words: cost.minutes for words, cost in measured().items()}
    known = {one.name.partition("/")[2]: minutes_of(one, minutes) for one in experiments(area)}
    for name, told, *_ in rows_of("README.md", area.name):
        taken = known[name]
        assert told == ("" if taken is None else f"{taken:.1f}"), f"{area.name}/{name}"


def rows_of(page: str, area: str) -> list[list[str]]:
    """The cells of each row of an area's table, the study without what it is called besides."""
    section = (ROOT / page).read_text().partition(f"`fineq run {area}/<study>`")[2]
    lines = re.findall(r"^\| `(\w+)`[^|]*\|(.*)\|$", section.partition("\n##")[0], re.M)
    return [[name, *(cell.strip() for cell in rest.split(" |"))] for name, rest in lines]
