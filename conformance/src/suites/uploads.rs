//! Files that come to the server in pieces, each with the command that is for it. The command here takes no file and changes
//! nothing, so that only the pieces are looked at.

use flare_wire::cell::{Headers, Payload};
use flare_wire::hci::{Item, Reply, Request};
use flare_wire::transfer::upload::{CHANNEL, Piece, PieceReply, REQUEST, UploadContext};

use crate::finding::{ensure, ensure_eq};
use crate::raw::{Admin, value};
use crate::{Case, CaseResult, Context, Finding, Risk};

/// The file of these cases.
const FILE: &[u8] = b"abcde";

/// A number or a field of a piece is not as it should be.
const BAD_REQUEST: &str = "BAD_REQUEST_DATA";
/// The file is not as announced.
const EXECUTION_EXCEPTION: &str = "EXECUTION_EXCEPTION";

/// What these cases do to a target.
const CHANGES: &str = "uploads files of a few bytes, which a server leaves in its temporary folder";

pub(super) fn cases() -> Vec<Case> {
    [
        Case::new("upload.pieces", "the last piece is answered with what the command says", pieces)
            .checks(&["UPLOAD-END-001", "UPLOAD-END-002"]),
        Case::new("upload.size", "a file of another size than announced is refused, and its command runs", wrong_size)
            .checks(&["UPLOAD-SIZE-001"]),
        Case::new("upload.first-piece", "an upload begins with its first piece", first_piece)
            .checks(&["UPLOAD-BEGIN-001"]),
        Case::new("upload.nobody", "a piece has to say who sends it", nobody).checks(&["UPLOAD-PEER-001"]),
    ]
    .map(|case| case.risking(Risk::OwnObjects, CHANGES))
    .into()
}

/// One upload of a raw endpoint that is logged in.
struct Upload {
    admin: Admin,
    transaction: String,
}

impl Upload {
    async fn begin(context: &Context) -> CaseResult<Self> {
        let mut admin = Admin::login(context.any_kit()?).await?;
        let transaction = admin.peer.random().uuid();
        Ok(Self { admin, transaction })
    }

    /// A piece of this upload, with what the first one says about the whole.
    fn piece(&self, sequence: u64, data: &[u8], eof: bool) -> Piece {
        let request = Request { token: self.admin.token.clone(), ..Request::new("list_sessions") };
        let context = UploadContext {
            request: request.to_json(),
            file_size: FILE.len() as u64,
            file_name: "conformance.bin".to_owned(),
        };
        Piece {
            transaction: self.transaction.clone(),
            sequence,
            context: Some(context),
            data: data.to_vec().into(),
            size: data.len() as u64,
            eof,
            has_peer_props: true,
        }
    }

    /// Sends a piece; gives the code it is answered with, and what the command says if it has run.
    async fn send(&mut self, piece: Piece) -> CaseResult<(String, Option<Reply>)> {
        let payload: Payload = piece.into_payload(&self.admin.user);
        let answer = self.admin.peer.request(CHANNEL, REQUEST, &Headers::new(), &payload).await?;
        let answer = PieceReply::from_value(&value(&answer)?)
            .map_err(|error| Finding::fail(format!("the answer to a piece: {error}")))?;
        let result = answer.end_result.map(|text| Reply::parse(&text));
        let result = result.transpose().map_err(|error| Finding::fail(format!("what the command says: {error}")))?;
        Ok((answer.return_code, result))
    }

    /// Sends a piece that is answered with this code and does not end the upload.
    async fn sends(&mut self, piece: Piece, code: &str) -> CaseResult {
        let sequence = piece.sequence;
        let (said, result) = self.send(piece).await?;
        ensure_eq!(said, code, "code of piece {sequence}");
        ensure!(result.is_none(), "piece {sequence} ended the upload: {result:?}");
        Ok(())
    }

    /// Sends a piece that is answered with this code and ends the upload: its command runs.
    async fn ends(&mut self, piece: Piece, code: &str) -> CaseResult {
        let sequence = piece.sequence;
        let (said, result) = self.send(piece).await?;
        ensure_eq!(said, code, "code of piece {sequence}");
        let is_table = result.as_ref().is_some_and(|reply| matches!(reply.data.as_slice(), [Item::Table(_)]));
        ensure!(is_table, "the command did not run with piece {sequence}: {result:?}");
        Ok(())
    }
}

async fn pieces(context: Context) -> CaseResult {
    let mut upload = Upload::begin(&context).await?;
    upload.sends(upload.piece(0, &FILE[..3], false), PieceReply::OK).await?;
    upload.ends(upload.piece(1, &FILE[3..], true), PieceReply::OK).await?;
    upload.sends(upload.piece(2, b"f", true), BAD_REQUEST).await
}

async fn wrong_size(context: Context) -> CaseResult {
    for (what, file) in [("shorter", &FILE[1..]), ("longer", b"abcdef")] {
        let mut upload = Upload::begin(&context).await?;
        let ended = upload.ends(upload.piece(0, file, true), EXECUTION_EXCEPTION).await;
        ended.map_err(|finding| finding.during(what))?;
    }
    Ok(())
}

async fn first_piece(context: Context) -> CaseResult {
    let mut upload = Upload::begin(&context).await?;
    upload.sends(upload.piece(1, FILE, true), BAD_REQUEST).await?;
    upload.sends(Piece { context: None, ..upload.piece(0, FILE, true) }, BAD_REQUEST).await?;
    // What was refused has begun nothing.
    upload.ends(upload.piece(0, FILE, true), PieceReply::OK).await
}

async fn nobody(context: Context) -> CaseResult {
    let mut upload = Upload::begin(&context).await?;
    upload.sends(Piece { has_peer_props: false, ..upload.piece(0, FILE, true) }, "MISSING_PEER_CONTEXT").await?;
    upload.ends(upload.piece(0, FILE, true), PieceReply::OK).await
}
