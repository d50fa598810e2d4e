# Prints the lines of a CSV file that have all their values: clean.sh FILE COLUMNS
awk -F, -v columns="$2" 'NF == columns { for (i = 1; i <= NF; i++) if ($i == "") next; print }' "$1"
