# Makes a repository of templates and a pipeline that uses one of them: try.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/use"
to=$(cd "$1" && pwd)

git init --quiet "$to/work"
cp "$here"/library/* "$to/work/"
git -C "$to/work" add .
git -C "$to/work" -c user.name=example -c user.email=example@example.com commit --quiet -m "Add the template that cleans tables"
git -C "$to/work" tag v1
git clone --quiet --bare "$to/work" "$to/library.git"

sed "s|REPOSITORY|$to/library.git|" "$here/use.pipeline.yaml.in" > "$to/use/use.pipeline.yaml"
echo "amlflow run $to/use/use.pipeline.yaml"
