//! What counts as an id.

/// Endpoints of admin clients are named by this and a UUID.
const ADMIN_PREFIX: &str = "_admin_";

/// True for a version-4 UUID in lower case; hyphens may stand anywhere or be left out, as the server has it.
pub(super) fn is_uuid4(text: &str) -> bool {
    let digits: Vec<char> = text.chars().filter(|character| *character != '-').collect();
    digits.len() == 32
        && digits.iter().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'))
        && digits[12] == '4'
        && matches!(digits[16], '8' | '9' | 'a' | 'b')
}

/// True for the name of an admin client.
pub(super) fn is_admin_client(name: &str) -> bool {
    name.strip_prefix(ADMIN_PREFIX).is_some_and(is_uuid4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyphens_do_not_matter_and_the_version_does() {
        for text in [
            "11111111-1111-4111-8111-111111111111",
            "11111111111141118111111111111111",
            "1-1111111111141118111111111111111",
        ] {
            assert!(is_uuid4(text), "{text}");
        }
        for text in [
            "",
            "abc",
            "11111111-1111-1111-8111-111111111111",
            "11111111-1111-4111-7111-111111111111",
            "{11111111-1111-4111-8111-111111111111}",
        ] {
            assert!(!is_uuid4(text), "{text}");
        }
    }

    #[test]
    fn admin_clients_are_named_by_a_uuid() {
        assert!(is_admin_client("_admin_11111111-1111-4111-8111-111111111111"));
        assert!(!is_admin_client("_admin_") && !is_admin_client("11111111-1111-4111-8111-111111111111"));
    }
}
