//! The simulated shell commands beside the real programs of this machine, on the same tree of files.
//!
//! The real programs are the judge: GNU coreutils and grep in the locale `C.UTF-8`, as a real server starts them.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod grep;
mod pair;

use pair::{FILES, Pair};

#[test]
fn pwd_prints_the_workspace() {
    Pair::new().compare(&["pwd"]);
}

#[test]
fn ls_lists_like_the_real_one() {
    let pair = Pair::new();
    let targets = [
        None,
        Some("."),
        Some("./"),
        Some("startup"),
        Some("startup/"),
        Some("startup/sub/.."),
        Some("startup/sub"),
        Some("transfer"),
        Some("readme.txt"),
        Some(".hidden"),
        Some("./log.txt"),
        Some("startup//start.sh"),
        Some("nope"),
        Some("readme.txt/"),
        Some("readme.txt/x"),
        Some("-5"),
        Some("-1"),
        Some("-0.5"),
    ];
    let letters = ["-a", "-l", "-t", "-S", "-R", "-u"];
    for target in targets {
        // Two dots are refused before a program is started.
        if target == Some("startup/sub/..") {
            continue;
        }
        for chosen in 0..1_u32 << letters.len() {
            let mut line = vec!["ls"];
            line.extend(letters.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, letter)| *letter));
            line.extend(target);
            pair.compare(&line);
        }
    }
    for line in [
        &["ls", "-lS", "-t"][..],
        &["ls", "-tS"],
        &["ls", "-St", "-l"],
        &["ls", "-laR", "startup"],
        &["ls", "--", "-x.txt"],
        &["ls", "-l", "--", "-x.txt"],
        &["ls", "startup", "-l"],
        &["ls", "-l=", "startup"],
        &["ls", "-a=l"],
    ] {
        pair.compare(line);
    }
}

#[test]
fn cat_prints_like_the_real_one() {
    let pair = Pair::new();
    let letters = ["-n", "-b", "-s", "-T"];
    for (path, ..) in FILES.iter().filter(|(path, ..)| !path.starts_with('-')) {
        for chosen in 0..1_u32 << letters.len() {
            let mut line = vec!["cat"];
            line.extend(letters.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, letter)| *letter));
            line.push(path);
            pair.compare(&line);
        }
    }
    for line in [
        &["cat", "nope.txt"][..],
        &["cat", "b.d"],
        &["cat", "readme.txt/"],
        &["cat", "-nsT", "readme.txt"],
        &["cat", "-bn", "newlines.txt"],
        &["cat", "--", "-x.txt"],
        &["cat", "-n=b", "readme.txt"],
    ] {
        pair.compare(line);
    }
}

#[test]
fn head_and_tail_print_like_the_real_ones() {
    let pair = Pair::new();
    let numbers = [
        "0",
        "1",
        "2",
        "3",
        "7",
        "10",
        "100",
        "-0",
        "-1",
        "-2",
        "-3",
        "-7",
        "-100",
        "+0",
        "+1",
        "+2",
        "+3",
        "+7",
        "+100",
        "007",
        " 2",
        "2 ",
        "\t3",
        "1_0",
        "=5",
        "18446744073709551615",
        "18446744073709551616",
        "-18446744073709551616",
        "99999999999999999999999",
        "+99999999999999999999999",
        "\n4",
        "4\n",
        "",
    ];
    for program in ["head", "tail"] {
        for (path, ..) in FILES.iter().filter(|(path, ..)| !path.starts_with('-')) {
            pair.compare(&[program, path]);
            for number in numbers {
                for letter in ["-n", "-c"] {
                    pair.compare(&[program, letter, number, path]);
                }
                if !number.is_empty() {
                    pair.compare(&[program, &format!("-n{number}"), path]);
                }
            }
        }
        for line in [
            &["nope.txt"][..],
            &["b.d"],
            &["-n", "0", "b.d"],
            &["-c", "0", "b.d"],
            &["-n", "-1", "b.d"],
            &["-n", "+1", "b.d"],
            &["-c", "3", "b.d"],
            &["readme.txt/"],
            &["-n", "2", "-c", "3", "readme.txt"],
            &["-c", "3", "-n", "2", "readme.txt"],
            &["readme.txt", "-n", "1"],
            &["-n", "x", "-c", "y", "readme.txt"],
            &["--", "-x.txt"],
        ] {
            let line: Vec<&str> = [&[program], line].concat();
            pair.compare(&line);
        }
    }
}

#[test]
fn what_cannot_be_done_as_the_real_one_does_it_is_said_to_be_not_modelled() {
    let pair = Pair::new();
    let refused = |line: &[&str]| {
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        pair.simulated(&words).unwrap_err().to_string()
    };
    assert_eq!(refused(&["grep", r"\(a\)\1", "readme.txt"]), "grep with back-references");
    assert_eq!(refused(&["grep", "-v x", "readme.txt"]), "grep with a pattern that it takes for options");
    assert_eq!(refused(&["grep", &r"\(".repeat(1000), "readme.txt"]), "grep with groups as deep as this");
    assert_eq!(
        refused(&["grep", &format!("a{}", "*".repeat(1000)), "readme.txt"]),
        "grep with repetitions of repetitions as deep as this"
    );
    assert_eq!(refused(&["grep", r"\w\{30000\}", "readme.txt"]), "grep with an expression as large as this");
    assert_eq!(refused(&["grep", &"a".repeat(100_000), "readme.txt"]), "grep with a pattern as long as this");
    assert_eq!(refused(&["rm", "readme.txt"]), "another program");
}
