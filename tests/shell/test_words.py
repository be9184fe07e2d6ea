"""Words of a command line: names that are near, values of the wrong kind, fields without effect."""

import re

import pytest

from fineq.errors import EXIT_BAD_INPUT
from fineq.shell.compose import compose
from fineq.shell.experiments import names
from fineq.shell.main import main
from fineq.shell.options import listing
from fineq.shell.words import Word, read_words, told
from fineq.studies import area
from fineq.studies.area import area_of
from tests.shell.refusal import refused

AREAS = {name: area_of(name) for name in area.AREAS}


def sentence(line, tmp_path, capsys):
    area, *words = line.split()
    return refused(AREAS[area], words, tmp_path, capsys)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nlqr seed=3", "seed is not a field; did you mean seeds"),
        ("nlqr num_rollouts=3", "did you mean estimator.num_rollouts or floors.num_rollouts"),
        (
            "nlqr descent.step_sise=3",
            "descent.step_sise is not a field; did you mean descent.step_s",
        ),
        (
            "nlqr beta=3",
            "beta is not a field of nlqr: it is one of pift",
        ),
        (
            "ntk system.n=3",
            "system.n is not a field of ntk: it is one of nlqr",
        ),
        ("nlqr floors=3", "floors is not a field but a block of them, such as floors.num_steps"),
        ("nlqr profiles={smoke:{seeds:2}}", "profiles.smoke.seeds is not a field"),
        ("nlqr experiment=landscape", "experiment/landscape was not found; did you mean nlqr/land"),
        ("nlqr experiment=nlqr/landscpe", "did you mean nlqr/landscape"),
        (
            "nlqr experiment=pift/beta",
            "experiment=pift/beta is one of pift, not of nlqr: fineq run pift/beta",
        ),
        ("nlqr experiment=3", "experiment/3 was not found; allowed: nlqr/"),
        ("nlqr system=3", "system/3 was not found; allowed: file, matrices, random"),
        ("nlqr system=null", "system/null was not found"),
        ("nlqr hydra=null", "hydra is not a field"),
        ("nlqr hydra.verbose=true", "hydra.verbose is Hydra's, and has an effect with -m alone"),
        ("nlqr =3", "'' is not a field"),
        ("nlqr é=3", "'é' is not a field"),
        ("nlqr name=é", "cannot be read at name=é: .* stands in quotes"),
        ("nlqr sweep.law.radius=[1,range(1,3)]", "range.1,3., cannot stand among others"),
        ("nlqr -m law.degree=1,[choice(1,2)]", "range.1,3., cannot stand among others"),
        ("nlqr floors.radii=[1,${oc.env:NO}]", r"radii\[1\]: what .* found .*'NO' not found"),
        (f"nlqr seeds={'9' * 5000}", "cannot be read at seeds=9*...: "),
        ("nlqr seeds=3 seeds=4", "seeds is given twice: drop one of them"),
        ("nlqr system=file system.source=random", "system.source is given twice"),
        ("nlqr system={n:2} system.n=3", "system.n is given twice"),
        ("nlqr experiment=nlqr/global experiment=nlqr/landscape", "experiment is given twice"),
        ("nlqr seeds=1,2", "seeds=1,2 holds several values: -m makes one run of each"),
        ("nlqr floors.radii=0.1,0.2", r"write floors.radii=\[0.1,0.2\]"),
        (
            "nlqr sweep.system.lipschitz=0.1,0.3",
            r"write sweep.system.lipschitz=\[0.1,0.3\] for an axis, or -m system.lipschitz=0.1,0.3",
        ),
        (
            "nlqr -m sweep.system.lipschitz=[1,2],[3,4]",
            r"holds several axes: give one, such as sweep.system.lipschitz=\[1,2\], and run",
        ),
        (
            "nlqr -m sweep.system.lipschitz=range(1,3)",
            r"sweep.system.lipschitz=\[a,b,...\] for an axis, or -m system.lipschitz=range\(1,3\)",
        ),
        ("nlqr floors.radii=[1],[2]", "holds several values: -m makes one run of each"),
        ("nlqr experiment=nlqr/demo profile=quick", "experiment=nlqr/demo has one size"),
        ("nlqr -m sweep.system.lipschitz=0.1,0.3", r"write sweep.system.lipschitz=\[0.1,0.3\]"),
        ("nlqr -m experiment=glob(pift/nothing*)", "-m has nothing to run: .* matches none of nlq"),
        ("nlqr -m hydra.sweeper=3", "Hydra does not take these words"),
        ("nlqr -m hydra.sweeper.max_batch_size=0", "Hydra does not take these words"),
        ("nlqr -m hydra/launcher=nosuch", "hydra/launcher/nosuch was not found"),
        ("nlqr -m experiment=nlqr/global,landscape", "did you mean nlqr/landscape"),
        ("nlqr -m seeds=1,abc", "seeds must be of type integer, got abc"),
        (
            "nlqr profile=smoke",
            "profile=smoke has no effect: profiles are blocks of an experiment=NAME",
        ),
        ("nlqr seeds=???", "seeds must be given, got [?]{3}"),
        ("nlqr profile=[1]", r"profile must be text, got \[1\]"),
        ("nlqr sweep=3", "sweep must be given as sweep.FIELD"),
        ("nlqr sweep.system={}", "sweep.system must be given"),
        ("nlqr --from a --from b", "--from is given twice"),
    ],
)
def test_names_and_grammar(line, expected, tmp_path, capsys):
    line = sentence(line, tmp_path, capsys)
    assert re.search(expected, line), line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("seeds=", "seeds must be of type integer, got nothing"),
        ("descent.others=3", r"a list in brackets, such as \[natural,two_point\], got 3"),
        ("system.A=3", r"system.A must be a list in brackets, such as \[\[1,2\]\], got 3"),
        ("law.columns=x", r"law.columns must be a list in brackets, such as \[a,b\], got x"),
        ("seeds=10000000000000000000", "seeds must be at most 2147483647, got 1"),
        ("system.lipschitz=1e400", "system.lipschitz must be at least 0, got inf"),
        (f"system.lipschitz={'9' * 400}", "system.lipschitz is too large a number"),
        ("floors.radii=3", r"floors.radii must be a list in brackets"),
        ("floors.radii=[a,b]", "floors.radii must be a list of numbers, got 'a' among them"),
        ("floors.radii=[{a:1}]", "got {'a': 1} among them"),
        ("floors.radii=[null,1]", "got None among them"),
        ("floors.radii=[true]", "got True among them"),
        ("floors.radii=[inf]", "floors.radii must be above 0, got inf"),
        (f"floors.radii=[{'9' * 400}]", "floors.radii must be above 0, got 9"),
        ("floors.num_rollouts=['2','4']", "a list of whole numbers, got '2' among them"),
        ("floors.num_rollouts=[1e300]", "a list of whole numbers, got 1e[+]300 among them"),
        ("floors.num_rollouts=[2.5]", "a list of whole numbers, got 2.5 among them"),
        ("floors.num_rollouts=[1000000000000]", "at most 2147483647, got 1000000000000"),
        ("floors.num_rollouts=${seeds}", "a list of whole numbers, got 16"),
        ("system.A=[[1,2],[3]]", "system.A must hold rows of one length above 0, got 1 and 2"),
        ("system.A=[[]]", "system.A must hold rows of one length above 0, got 0"),
        ("system.A=[1,2]", "system.A must be a list of rows of numbers, got "),
        ("system.A=[[[1]]]", r"system.A must be a list of rows of numbers, got \[1\] among them"),
        ("recovery.sizes=[[2,1,3]]", r"recovery.sizes must hold pairs \[n, p\]"),
        ("sweep.system.lipschitz=[inf]", "sweep.system.lipschitz must be at least 0, got inf"),
        ("sweep.system.n=[inf]", "a list of whole numbers, got inf among them"),
        ("sweep.system.lipschitz=['a']", "a list of numbers, got 'a' among them"),
        ("sweep.system.lipschitz=null", "must be a non-empty list"),
    ],
)
def test_values_of_the_wrong_kind(line, expected, tmp_path, capsys):
    line = sentence(f"nlqr {line}", tmp_path, capsys)
    assert re.search(expected, line), line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "nlqr system.path=plant.npz",
            "system.path .* when system.source=random: drop it, or take",
        ),
        ("nlqr system.A=[[1]]", "or take system.source=matrices"),
        ("nlqr system=file system.path=p.npz system.n=4", "when system.source=file"),
        ("nlqr experiment=nlqr/exact_recovery system.n=3", "system.n has no effect"),
        ("nlqr kernel.degree=2", "kernel.degree has no effect when kernel.name=sin: drop it, or"),
        ("nlqr system.lipschitz=1 sweep.system.lipschitz=[1,2]", "twice, as a value and as an ax"),
        ("nlqr estimator.num_rollouts=30", "when study=linear_convergence"),
        ("nlqr experiment=nlqr/robustness estimator.radius=1", "when estimator.name=exact"),
        ("nlqr law=sphere kernel.degree=3", "kernel.degree has no effect when kernel.name=sin"),
        ("nlqr law.path=x.npz", "law.path has no effect when law.name=quadrature"),
        ("nlqr kernel=zero sweep.system.lipschitz=[1,2]", "no effect when kernel.name=zero"),
        ("nlqr sweep.save_every=[4,10]", "save_every changes no result"),
        ("nlqr sweep.reference.tail=[1e-3,1e-4]", "is no axis of linear_convergence: -m reference"),
        ("nlqr sweep.descent.step_size=[0.1,0.2]", "is no axis of linear_convergence: -m descent"),
        ("nlqr sweep.seeds=[2,3]", "sweep.seeds is no axis of .*: -m seeds=... makes one run"),
        ("nlqr sweep.first_seed=[2,3]", "is no axis of linear_convergence: -m first_seed"),
        ("ntk sweep.target.size=[0.1,0.3] target.name=mixture", "is no axis of .*: -m target.size"),
        ("ntk sweep.data.num=[8,16]", "is no axis of decomposition: -m data.num"),
        ("pift sweep.data.d=[1,2]", "is no axis of linear_convergence: -m data.d"),
        (
            "pift sweep.beta=[1,2] betas=[1,1,1] schedule.num_steps=3",
            "sweep.beta has no effect when betas is given: drop it, or take no betas",
        ),
        ("pift study=parametric sweep.beta=[1,2]", "is no axis of parametric: -m beta"),
        ("pift study=benchmark_problems sweep.benchmark.learning_rate=[0.1,1]", "is no axis of"),
        (
            "pift study=terminal_law sweep.schedule.end=[0.1,0.2] schedule.name=constant_rate",
            "no axis",
        ),
        ("pift study=regularity sweep.data.least=[1,2]", "is no axis of regularity: -m data.least"),
        ("nlqr system.lipschitz=2 sweep.system.lipschitz=[1,2]", "given twice, as a value and as"),
        ("pift experiment=pift/terminal_law schedule.num_steps=50", "when study=terminal_law"),
        ("pift experiment=pift/linear_convergence_mixture data.d=3", "when data.means is given"),
        ("pift reward.shift=1", "when reward.name=quadratic"),
        ("pift data.path=x.csv", "when data.name=gaussian"),
        ("pift experiment=pift/benchmark_problems data.d=2", "when study=benchmark_problems"),
        ("pift experiment=pift/beta picture.betas=[] picture.num_points=32", "betas is not given"),
        ("ntk descent.forced=true", "sweep.descent.step is not given"),
        ("ntk experiment=ntk/kernel_limit data.num_test=99", "when study=kernel_limit"),
        ("ntk experiment=ntk/digits target.size=0.2", "when target.name=digits"),
    ],
)
def test_fields_without_effect(line, expected, tmp_path, capsys):
    line = sentence(line, tmp_path, capsys)
    assert re.search(expected, line), line


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("words", [[], ["-m"]])
def test_without_words_the_studies_are_listed(area, words, capsys):
    assert main(AREAS[area], words) == EXIT_BAD_INPUT
    printed = capsys.readouterr()
    assert printed.err == "fineq: there is nothing to run: give one of these, or a study=\n"
    assert printed.out == listing(AREAS[area])
    for name in names(AREAS[area]):
        (line,) = re.findall(rf"^  {name} +(.*)$", printed.out, re.M)
        assert len(line) > 20
        assert not line.startswith("python")


def test_an_output_of_no_name_is_refused_before_it_is_shown(capsys):
    assert main(AREAS["nlqr"], ["--cfg", "output="]) == EXIT_BAD_INPUT
    assert capsys.readouterr() == ("", "fineq: output must name a folder, got nothing\n")


@pytest.mark.parametrize("area", AREAS)
def test_the_example_of_the_listing_has_the_profile_that_it_names(area):
    (words,) = re.findall(r"fineq run (\S+ profile=\S+)", listing(AREAS[area]))
    assert "smoke" in compose(AREAS[area], f"experiment={words}".split()).profiles


@pytest.mark.parametrize(
    "value",
    [
        *(1, 1.5, True, None, -2.0, 1e-5, "a", "a b", "true", "1e5", "null", "inf", "NaN", "yes"),
        *("", "a'b", "a\\", "a\\'b", "[x]", "é", "a/b.c:d", "${b}", " a", "0x1", '"q"', "C:\\d\\"),
        *([1, 2.5], ["a", "b c"], [[1.0], [2.0]], {"a": 1, "b": "c d"}),
    ],
    ids=repr,
)
def test_what_is_told_of_a_value_is_read_as_that_value(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (text,) = told([Word("", "name", value, {}, False, False)])
    read = OverridesParser.create().parse_override(text).value()
    assert read == value
    assert type(read) is type(value)


def test_what_is_told_of_a_command_leaves_out_how_it_is_carried_out():
    given = [
        "experiment=nlqr/demo",
        "++sweep.law.radius=[1,2]",
        "quiet=true",
        "seeds=3",
        "output=x",
    ]
    expected = ["experiment=nlqr/demo", "sweep.law.radius=[1,2]", "seeds=3"]
    assert told(read_words(AREAS["nlqr"], given)) == expected
