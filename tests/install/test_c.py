"""The C library and its headers, by pkg-config and by CMake, after they were moved to another place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from programs import PREFIX, ROOT, STRICT_C, STRICT_CPP, VERSION, run, the_seeds_program_behaves

#: What programs are linked to: before 1.0 each minor version is an ABI of its own.
MAJOR, MINOR = VERSION.split(".")[:2]
SONAME = f"libambassador.so.{f'0.{MINOR}' if MAJOR == '0' else MAJOR}"

SEEDS = {"seed.c": STRICT_C, "seed.cpp": STRICT_CPP}

CMAKE = """\
cmake_minimum_required(VERSION 3.16)
project(shop C CXX)
find_package(ambassador 0.1 REQUIRED)
find_package(Threads REQUIRED)
set(CMAKE_C_STANDARD 11)
set(CMAKE_CXX_STANDARD 17)
add_executable(seed-c seed.c)
target_link_libraries(seed-c PRIVATE ambassador::ambassador)
add_executable(seed-cpp seed.cpp)
target_link_libraries(seed-cpp PRIVATE ambassador::ambassador Threads::Threads)
add_executable(seed-static seed.c)
target_link_libraries(seed-static PRIVATE ambassador::static)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seed's programs, and the library in a folder of its own beside them."""
    project = tmp_path_factory.mktemp("c")
    shutil.copytree(PREFIX, project / "opt", symlinks=True)
    for folder, seed in (("c", "seed.c"), ("cpp", "seed.cpp")):
        shutil.copy(ROOT / "examples" / folder / seed, project)
    return project


def pkg_config(project: Path, *arguments: str) -> list[str]:
    env = {"PKG_CONFIG_PATH": str(project / "opt/lib/pkgconfig")}
    return run(["pkg-config", *arguments, "ambassador"], cwd=project, env=env).stdout.split()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seeds_program_runs_by_pkg_config(project: Path, seed: str) -> None:
    program = project / seed.replace(".", "-by-pkg-config-")
    run([*SEEDS[seed], seed, "-o", program, *pkg_config(project, "--cflags", "--libs")], cwd=project)
    the_seeds_program_behaves([program], cwd=project, env={"LD_LIBRARY_PATH": str(project / "opt/lib")})


def test_the_seeds_program_runs_without_the_shared_library(project: Path, tmp_path: Path) -> None:
    program = tmp_path / "seed-alone"
    libraries = [part for part in pkg_config(project, "--static", "--libs") if part != "-lambassador"]
    archive = project / "opt/lib/libambassador.a"
    run([*STRICT_C, project / "seed.c", "-o", program, f"-I{project}/opt/include", archive, *libraries], cwd=tmp_path)
    assert "libambassador" not in run(["ldd", program], cwd=tmp_path).stdout
    the_seeds_program_behaves([program], cwd=tmp_path)


def test_the_version_is_told_by_pkg_config(project: Path) -> None:
    assert pkg_config(project, "--modversion") == [VERSION]


@pytest.fixture(scope="module")
def by_cmake(project: Path) -> Path:
    (project / "CMakeLists.txt").write_text(CMAKE)
    run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={project}/opt"], cwd=project)
    run(["cmake", "--build", "build"], cwd=project)
    return project / "build"


@pytest.mark.parametrize("program", ["seed-c", "seed-cpp", "seed-static"])
def test_the_seeds_program_runs_by_cmake(by_cmake: Path, program: str) -> None:
    the_seeds_program_behaves([by_cmake / program], cwd=by_cmake)


def test_a_program_is_linked_to_the_abi_that_it_was_compiled_for(project: Path) -> None:
    program = project / "seed-by-soname"
    run([*STRICT_C, "seed.c", "-o", program, *pkg_config(project, "--cflags", "--libs")], cwd=project)
    for linked_to in (program, project / "opt/lib/libambassador.so"):
        assert f"[{SONAME}]" in run(["readelf", "-d", linked_to], cwd=project).stdout


def test_nothing_leads_back_to_where_it_was_built(project: Path, by_cmake: Path) -> None:
    linked = run(["ldd", by_cmake / "seed-c"], cwd=project).stdout
    assert f"{SONAME} => {project}/opt/lib/{SONAME} (" in linked
    for file in (*project.glob("opt/lib/pkgconfig/*"), *project.glob("opt/lib/cmake/ambassador/*")):
        assert str(ROOT) not in file.read_text(), file
