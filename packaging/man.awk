# SPDX-License-Identifier: MIT
# Makes a manual page of what a program says with --help-table. Variables: version, date.
BEGIN { FS = "\t" }
function plain(s) {
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    return s
}
function line(s) { # a line of text, which must not look like a request
    s = plain(s)
    if (s ~ /^[.']/) s = "\\&" s
    print s
}
function section(name) {
    print ".SH " name
}
function open_examples() {
    if (!examples) print ".PP\nExamples:\n.PP\n.nf\n.RS"
    examples = 1
}
function close_examples() {
    if (examples) print ".RE\n.fi"
    examples = 0
}
$1 == "program" {
    printf ".TH %s 1 %s \"deer %s\" \"deer\"\n", toupper($2), date, version
    section("NAME")
    line($2 " - " $3)
    section("SYNOPSIS")
    printf ".B %s\n.I COMMAND\n[options]\n", plain($2)
    section("COMMANDS")
}
$1 == "command" {
    close_examples()
    printf ".SS %s\n", plain($2)
    line(toupper(substr($3, 1, 1)) substr($3, 2) ($3 ~ /[?.]$/ ? "" : "."))
    printf ".PP\n.B %s\n", plain($2)
    line($4)
}
$1 == "option" && $2 != "old" {
    printf ".TP\n.B %s%s\n", plain("--" $3), ($4 == "" ? "" : " \\fI" plain($4) "\\fR")
    line($5)
}
$1 == "example" {
    open_examples()
    line($2)
}
END {
    close_examples()
    section("EVERY COMMAND")
    print ".TP\n.B \\-\\-help\nwhat is said here, with examples\n.TP\n.B \\-\\-version\nthe version"
    section("EXIT STATUS")
    print "0: done. 1: failed. 2: wrong usage. 3: a budget that nothing can meet, or that deer-calib check finds exceeded."
}
