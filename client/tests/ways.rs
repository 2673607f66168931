//! Every way into a server: schemes, what protects the connection, a port of their own for admins.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/quick.rs"]
mod quick;

use flare_client::{ErrorKind, Session, SiteName, StartupKit, StudyName, SubmitToken};
use flare_simserver::SimServer;
use flare_simserver::core::Release;
use flare_simserver::project::{ConnectionSecurity, Project, Role, Scheme};

use quick::{AMPLE, log_in};

const SCHEMES: [Scheme; 3] = [Scheme::Http, Scheme::Tcp, Scheme::Grpc];

fn kit_of(server: &SimServer) -> StartupKit {
    StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap()
}

#[tokio::test]
async fn every_scheme_carries_a_session_whatever_protects_it() {
    for scheme in SCHEMES {
        for security in [ConnectionSecurity::Mtls, ConnectionSecurity::Tls, ConnectionSecurity::Clear] {
            let server = SimServer::builder().scheme(scheme).connection_security(security).start().await.unwrap();
            let session = log_in(&server).await;
            assert_eq!(session.get_connected_client_list().await.unwrap().len(), 2, "{scheme} {security}");
            session.close().await;
            server.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_session_goes_on_after_a_restart_whatever_the_scheme() {
    for scheme in SCHEMES {
        for how in [flare_simserver::Restart::Graceful, flare_simserver::Restart::Kill] {
            let server = SimServer::builder().scheme(scheme).start().await.unwrap();
            let session = log_in(&server).await;
            server.restart(how).await.unwrap();
            // The sites are not back yet.
            let system = session.get_system_info().await;
            assert!(system.is_ok(), "{scheme} {how:?}: {system:?}");
            session.close().await;
            server.shutdown().await;
        }
    }
}

#[tokio::test]
async fn both_sides_have_to_agree_on_what_protects_the_connection() {
    for scheme in SCHEMES {
        let builder = SimServer::builder().scheme(scheme);
        let server = builder.connection_security(ConnectionSecurity::Clear).start().await.unwrap();
        let kit = server.admin_kit(Role::ProjectAdmin).unwrap();
        let config = kit.join("startup/fed_admin.json");
        let text = std::fs::read_to_string(&config).unwrap().replace("\"clear\"", "\"mtls\"");
        std::fs::write(&config, text).unwrap();
        let kit = StartupKit::open(kit).unwrap();
        let error = Session::builder(kit).connect_timeout(AMPLE).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TlsRefused, "{scheme}: {error:?}");
        assert!(error.hint().unwrap().contains("connection_security"));
        server.shutdown().await;
    }
}

#[tokio::test]
async fn admins_have_a_port_of_their_own_where_the_project_says_so() {
    for scheme in SCHEMES {
        let project = Project::default_demo().with_scheme(scheme).with_ports(8002, 8003);
        let server = SimServer::builder().project(project).start().await.unwrap();
        let session = log_in(&server).await;
        assert_eq!(session.get_connected_client_list().await.unwrap().len(), 2, "{scheme}");
        session.close().await;
        // The port of sites says READY, and closes.
        let elsewhere = kit_of(&server).with_address("localhost", server.site_port());
        let error = Session::builder(elsewhere).connect_timeout(AMPLE).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{scheme}: {error:?}");
        server.shutdown().await;
    }
}

#[tokio::test]
async fn without_certificates_of_clients_admins_get_in_at_the_port_of_sites_too() {
    let project = Project::default_demo().with_ports(8002, 8003).with_connection_security(ConnectionSecurity::Tls);
    let server = SimServer::builder().project(project).start().await.unwrap();
    let elsewhere = kit_of(&server).with_address("localhost", server.site_port());
    let session = Session::builder(elsewhere).connect_timeout(AMPLE).connect().await.unwrap();
    assert_eq!(session.get_connected_client_list().await.unwrap().len(), 2);
    session.close().await;
}

#[tokio::test]
async fn what_an_older_release_lacks_is_said_before_anything_is_sent() {
    let server = SimServer::builder().release(Release::V2_7).start().await.unwrap();
    let session = log_in(&server).await;
    assert_eq!(session.get_connected_client_list().await.unwrap().len(), 2);
    let error = session.list_studies().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert_eq!(error.to_string(), "list_studies: the server has no command \"list_studies\": its release is older");
    let site = SiteName::new("site-1").unwrap();
    assert_eq!(session.disable_client(&site).await.unwrap_err().kind(), ErrorKind::Unsupported);
    // A server of 2.7 would take the option for the name of the job.
    let token = SubmitToken::new("once").unwrap();
    let error = session.submit_job("/nowhere").token(token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    session.close().await;

    // It would take no notice of the study, and show what is none of its business.
    let study = StudyName::new("cancer").unwrap();
    let error = Session::builder(kit_of(&server)).study(study).connect_timeout(AMPLE).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    server.shutdown().await;

    let server = SimServer::builder().release(Release::V2_8).start().await.unwrap();
    let session = log_in(&server).await;
    session.list_studies().await.unwrap();
    session.close().await;
}
