use super::*;

/// Writes the files (the first one is read), and says what was read: `name/option=value …` and the notes.
fn read_files(files: &[(&str, &str)]) -> Result<(Vec<String>, Vec<String>), String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let mut notes = Notes::default();
    let path = folder.path().join(files[0].0);
    let prefix = format!("{}/", folder.path().display());
    let sections = read(&path, &mut notes).map_err(|error| error.to_string().replace(&prefix, ""))?;
    let entries = sections.iter().map(|section| {
        let entries: Vec<String> = section.entries.iter().map(|e| format!("{}={}", e.name, e.text())).collect();
        format!("{}{}: {}", section.name, if section.is_template { "!" } else { "" }, entries.join(" "))
    });
    let notes = notes.into_list().iter().map(|note| note.to_string().replace(&prefix, "")).collect();
    Ok((entries.collect(), notes))
}

fn sections(text: &str) -> Vec<String> {
    read_files(&[("m.conf", text)]).expect("readable").0
}

fn refusal(text: &str) -> String {
    read_files(&[("m.conf", text)]).expect_err("refused")
}

#[test]
fn lines_are_read_as_asterisk_reads_them() {
    assert_eq!(
        sections("[a]\n b = c \nd=>e\nf = g = h\n\\[i] = j\nk += l\nk += m"),
        ["a: b=c d=e f=g = h [i]=j k=l m"]
    );
    assert_eq!(sections("\u{feff}[a]\r\nb = c\r\n[ d ] junk"), ["a: b=c", " d : "]);
}

#[test]
fn templates_come_before_what_stands_below() {
    let text = "[t](!)\na=1\n[u](!,t)\nb=2\n[x](u)\na=3\n[t](+TEMPLATES=include)\nc=4\n[X](+)\nd=5\n[y](x,t)";
    assert_eq!(sections(text), ["t!: a=1 c=4", "u!: a=1 b=2", "x: a=1 b=2 a=3 d=5", "y: a=1 b=2 a=3 d=5 a=1 c=4"]);
}

#[test]
fn what_asterisk_refuses_is_refused_with_its_place() {
    for (text, why) in [
        ("a = b", "m.conf:1: a line before the first section"),
        ("[a]\n[b", "m.conf:2: `]` is missing"),
        ("[a](b", "m.conf:1: `)` is missing"),
        ("[a](b)", "m.conf:1: there is no section or template `[b]` before it"),
        ("[t](!)\n[t](+)", "m.conf:2: `(+)` adds to `[t]`, which does not stand before it"),
        ("[a]\n#include \"none.conf\"", "m.conf:2: no file `none.conf` beside the main file"),
        ("[a]\n#include m.conf", "m.conf:2: more than 10 files include each other"),
        ("[a]\nb --; c", "m.conf:2: `--;` ends a comment"),
        ("[a]\n#include {b,c}.conf", "m.conf:2: braces"),
    ] {
        let told = refusal(text);
        assert!(told.starts_with(why), "{text}: {told}");
    }
}

#[test]
fn what_asterisk_skips_is_told() {
    let text = "[a]\nsecret hunter2\n= b\n#exec \"x\"\n#frob\n#include\n#tryinclude none.conf\n;-- c\nd = e";
    let (sections, notes) = read_files(&[("m.conf", text)]).expect("readable");
    assert_eq!(sections, ["a: "]);
    let lines: Vec<&str> = notes.iter().filter_map(|note| note.split(':').nth(1)).collect();
    assert_eq!(lines, ["2", "3", "4", "5", "6", "8"]);
    assert!(!notes.concat().contains("hunter2"), "a line without `=` may be a secret: {notes:?}");
    let long = format!("[a]\nb = {}\nc = d", "x".repeat(9_000));
    assert_eq!(read_files(&[("m.conf", &long)]).expect("readable").0, ["a: c=d"]);
}

#[test]
fn included_files_go_on_in_the_section_and_come_in_order() {
    let files = [
        ("m.conf", "[a]\n#include \"d/*.conf\"\nz = 1\n#tryinclude <one.conf>"),
        ("d/2.conf", "c = 3\n[d]"),
        ("d/1.conf", "b = 2"),
        ("d/3.txt", "no = no"),
        ("one.conf", "e = 4"),
    ];
    let (sections, _) = read_files(&files).expect("readable");
    assert_eq!(
        sections,
        ["a: b=2 c=3 z=1", "d: e=4"],
        "`z` is the including file's, `e` belongs to what was begun last"
    );
}

#[test]
fn what_is_too_much_is_refused() {
    let template = format!("[t](!)\n{}", "a=1\n".repeat(1_000));
    let many: String = (0..100).map(|n| format!("[x{n}](t)\n")).collect();
    assert!(refusal(&(template + &many)).contains("more than 50000 lines in all sections"));
    assert!(refusal(&"[a]\n".repeat(6_000)).contains("more than 5000 sections"));
    assert!(refusal("[a]\nb = \0").contains("NUL"));
    let folder = tempfile::tempdir().expect("a folder");
    let error = read(folder.path(), &mut Notes::default()).err().expect("refused").to_string();
    assert!(error.ends_with("is no regular file"), "{error}");
}
