//! Shrinks a script to the shortest one that still shows a difference.

/// Scripts that are tried. A difference that depends on many lines is then shown with a few lines too many.
const MAX_ATTEMPTS: usize = 120;

/// Takes away whatever is not needed for `still_differs` to say true: halves first, then ever smaller pieces, at last
/// single lines. The last line stays, for it is the one whose replies differ.
pub(super) async fn shrink<T: Clone>(script: &[T], mut still_differs: impl AsyncFnMut(&[T]) -> bool) -> Vec<T> {
    let Some((last, before)) = script.split_last() else { return Vec::new() };
    let mut kept = before.to_vec();
    let mut attempts = 0;
    let mut piece = kept.len();
    while piece > 0 && attempts < MAX_ATTEMPTS {
        let mut start = 0;
        while start < kept.len() && attempts < MAX_ATTEMPTS {
            let end = (start + piece).min(kept.len());
            let mut candidate = kept[..start].to_vec();
            candidate.extend_from_slice(&kept[end..]);
            candidate.push(last.clone());
            attempts += 1;
            if still_differs(&candidate).await {
                candidate.pop();
                kept = candidate;
            } else {
                start = end;
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    kept.push(last.clone());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_needed_is_left() {
        let script: Vec<u32> = (0..100).collect();
        let shrunk = shrink(&script, async |script: &[u32]| script.contains(&17) && script.contains(&63)).await;
        assert_eq!(shrunk, [17, 63, 99]);
    }

    #[tokio::test]
    async fn a_line_that_differs_by_itself_stays_alone() {
        let mut attempts = 0;
        let shrunk = shrink(&(0..1000).collect::<Vec<u32>>(), async |_: &[u32]| {
            attempts += 1;
            true
        })
        .await;
        assert_eq!((shrunk, attempts), (vec![999], 1));
    }

    #[tokio::test]
    async fn a_difference_that_does_not_come_again_keeps_the_script() {
        let script: Vec<u32> = (0..10).collect();
        assert_eq!(shrink(&script, async |_: &[u32]| false).await, script);
        assert!(shrink(&[] as &[u32], async |_: &[u32]| true).await.is_empty());
    }
}
