//! What is set before transfers, when commands may go ahead: all at once, and what comes of those that are refused.

use longshore_proto::client::*;
use longshore_proto::command::Mode;

use crate::play::*;

/// A server that knows OPTS MODE Z KEEP is asked to leave data connections open; another closes each.
#[test]
fn deflate_mode_keeps_data_connections_where_it_may() {
    let deflate = |mode| {
        let ahead = Ahead { commands: 8, ..Ahead::default() };
        Options { mode, ahead, ..Options::default() }
    };
    let learn = "
        ask 0
        ask 1
        < 220 ready
        * greeted
        > FEAT
        < 211-Features
        <  MODE Z
        <  opts mode z keep
        < 211 End
        > TYPE I
        > MODE Z
        > OPTS MODE Z KEEP 1
        > EPSV
        < 200 I
        < 200 Z
    ";
    let taken = "
        < 200 stays
        < 229 (|||50001|)
        * 1 connect 192.0.2.1:50001
        ! connected 1
        > RETR a
        > RETR b
        < 125 a
        * 2 receive 0 on 1 from 0
        < 250 a
        < 125 b
        ! moved 2 10
        = 0 RETR 10
        * 3 receive 1 on 1 from 0
        ! moved 3 20
        < 250 b
        = 1 RETR 20
        ask 2
        > RETR c
        < 125 c
        * 4 receive 2 on 1 from 0
        ! moved 4 1
        < 226 c
        = 2 RETR 1
        * 1 close
        ask 3
        > EPSV
    ";
    let gets = || vec![get("a"), get("b"), get("c"), get("d")];
    for mode in [ModeChoice::Prefer(Mode::Deflate), ModeChoice::Insist(Mode::Deflate)] {
        play(deflate(mode), gets(), &format!("{learn}{taken}"));
    }
    let refused = "
        < 501 no
        < 229 (|||50001|)
        * 1 connect 192.0.2.1:50001
        ! connected 1
        > RETR a
        * 2 receive 0 on 1 from 0
        < 150 a
        ! moved 2 10
        < 226 a
        * 1 close
        = 0 RETR 10
        > EPSV
    ";
    play(deflate(ModeChoice::Prefer(Mode::Deflate)), vec![get("a"), get("b")], &format!("{learn}{refused}"));
    // A server that does not tell of it is not asked.
    let unknown = refused.replacen("< 501 no", "", 1);
    let learn = learn.replace("<  opts mode z keep", "").replace("> OPTS MODE Z KEEP 1", "");
    play(deflate(ModeChoice::Insist(Mode::Deflate)), vec![get("a"), get("b")], &format!("{learn}{unknown}"));
}

/// What stands behind a setting that is refused is answered, and nobody connects for it.
#[test]
fn a_setting_that_is_refused_among_others() {
    let ahead = |mode| {
        let ahead = Ahead { commands: 8, ..Ahead::default() };
        Options { mode, ahead, ..Options::default() }
    };
    let start = "
        ask 0
        ask 1
        < 220 ready
        * greeted
        > TYPE I
        > MODE B
        > EPSV
    ";
    let type_refused = "
        < 504 I
        = 0 no TYPE 504
        < 200 B
        < 229 (|||50001|)
        > TYPE I
        > EPSV
        < 200 I
        < 229 (|||50002|)
        * 1 connect 192.0.2.1:50002
        ! connected 1
        > RETR b
        < 150 b
        * 2 receive 1 on 1 from 0
        ! moved 2 10
        < 250 b
        = 1 RETR 10
    ";
    let insist = || ahead(ModeChoice::Insist(Mode::Block));
    play(insist(), vec![get("a"), get("b")], &format!("{start}{type_refused}"));
    // Without its mode it is not sent, and neither is the next one.
    let mode_refused = "
        < 200 I
        < 504 B
        = 0 no MODE 504
        < 229 (|||50001|)
        > MODE B
        > EPSV
        < 504 B
        = 1 no MODE 504
        < 502 no
    ";
    play(insist(), vec![get("a"), get("b")], &format!("{start}{mode_refused}"));
    // Where it was a wish alone, a file is sent without, on a connection that was arranged before that was known.
    let wished = "
        ask 0
        < 220 ready
        * greeted
        > FEAT
        < 211-Features
        <  MODE B
        < 211 End
        > TYPE I
        > MODE B
        > EPSV
        < 200 I
        < 504 B
        < 229 (|||50001|)
        * 1 connect 192.0.2.1:50001
        ! connected 1
        > RETR a
        * 2 receive 0 on 1 from 0
        < 150 a
        ! moved 2 10
        < 226 a
        * 1 close
        = 0 RETR 10
    ";
    play(ahead(ModeChoice::Prefer(Mode::Block)), vec![get("a")], wished);
}
