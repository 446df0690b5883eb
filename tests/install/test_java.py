"""The Maven artifact, from the local repository into a new project."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from programs import ROOT, VERSION, run, the_seeds_program_behaves

# The plugins are those of bindings-java/pom.xml, which are there already.
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.example</groupId>
  <artifactId>shop</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>io.github.ambassador-proxy</groupId>
      <artifactId>ambassador-proxy</artifactId>
      <version>@VERSION@</version>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin><artifactId>maven-resources-plugin</artifactId><version>3.3.1</version></plugin>
      <plugin><artifactId>maven-compiler-plugin</artifactId><version>3.14.0</version></plugin>
      <plugin><artifactId>maven-surefire-plugin</artifactId><version>3.5.3</version></plugin>
      <plugin>
        <artifactId>maven-jar-plugin</artifactId>
        <version>3.4.2</version>
        <configuration>
          <archive>
            <manifest>
              <mainClass>Seed</mainClass>
              <addClasspath>true</addClasspath>
              <classpathPrefix>${settings.localRepository}/</classpathPrefix>
              <classpathLayoutType>repository</classpathLayoutType>
            </manifest>
          </archive>
        </configuration>
      </plugin>
    </plugins>
  </build>
</project>
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("java")
    sources = project / "src/main/java"
    sources.mkdir(parents=True)
    (sources / "Seed.java").write_text((ROOT / "examples/java/Seed.java").read_text())
    (project / "pom.xml").write_text(POM.replace("@VERSION@", VERSION))
    mvn = ["mvn", "-B", "-ntp", "-q", *shlex.split(os.environ.get("MAVEN_FLAGS", "")), "-DskipTests"]
    run([*mvn, "install"], cwd=ROOT / "bindings-java")
    run([*mvn, "package"], cwd=project)
    return project


def test_the_seeds_program_runs(shop: Path) -> None:
    the_seeds_program_behaves(["java", "-jar", "target/shop-1.jar"], cwd=shop)


def test_the_library_comes_from_the_jar_in_the_local_repository(shop: Path) -> None:
    (shop / "Where.java").write_text(
        "class Where { public static void main(String[] a) { System.out.println("
        "io.ambassador.AmbassadorProxy.class.getProtectionDomain().getCodeSource().getLocation()); } }"
    )
    where = run(["java", "-cp", "target/shop-1.jar", "Where.java"], cwd=shop).stdout.strip()
    assert where.endswith(f"/ambassador-proxy/{VERSION}/ambassador-proxy-{VERSION}.jar")
    assert str(ROOT) not in where
