//! Forward-only schema migrations, run at start under a lock.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionTrait};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

use super::{StoreResult, is_postgres};

/// One migration: a file of plain SQL, in the order of the list.
struct SqlMigration {
    name: &'static str,
    sql: &'static str,
}

impl MigrationName for SqlMigration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SqlMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let serial = if is_postgres(manager.get_database_backend()) {
            "BIGSERIAL PRIMARY KEY"
        } else {
            "INTEGER PRIMARY KEY AUTOINCREMENT"
        };
        connection.execute_unprepared(&self.sql.replace("{serial}", serial)).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(SqlMigration { name: "0001_first", sql: include_str!("migrations/0001_first.sql") }),
            Box::new(SqlMigration { name: "0002_identity", sql: include_str!("migrations/0002_identity.sql") }),
            Box::new(SqlMigration { name: "0003_policy", sql: include_str!("migrations/0003_policy.sql") }),
            Box::new(SqlMigration { name: "0004_usage", sql: include_str!("migrations/0004_usage.sql") }),
            Box::new(SqlMigration { name: "0005_purpose", sql: include_str!("migrations/0005_purpose.sql") }),
            Box::new(SqlMigration { name: "0006_delivery", sql: include_str!("migrations/0006_delivery.sql") }),
            Box::new(SqlMigration { name: "0007_presence", sql: include_str!("migrations/0007_presence.sql") }),
        ]
    }
}

/// Number of the advisory lock on PostgreSQL; any constant that no other program on the database uses.
const LOCK: i64 = 0x0048_414e_5341;

/// Brings the schema up to date. Replicas that start together wait for each other: on PostgreSQL by an advisory lock,
/// on SQLite by a lock file beside the database.
pub(super) async fn run(db: &DatabaseConnection, url: &str) -> StoreResult<()> {
    if is_postgres(db.get_database_backend()) {
        let lock = db.begin().await?;
        let statement =
            Statement::from_string(db.get_database_backend(), format!("SELECT pg_advisory_xact_lock({LOCK})"));
        lock.execute_raw(statement).await?;
        Migrator::up(db, None).await?;
        lock.commit().await?;
        return Ok(());
    }
    let _lock = lock_file(url).await?;
    Migrator::up(db, None).await?;
    Ok(())
}

/// Locks `<database file>.lock` until the answer is dropped; a database in memory needs no lock.
async fn lock_file(url: &str) -> StoreResult<Option<std::fs::File>> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = path.split('?').next().unwrap_or_default();
    if path.is_empty() || path.contains(":memory:") {
        return Ok(None);
    }
    let name = format!("{path}.lock");
    let locked = tokio::task::spawn_blocking(move || {
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(name)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    });
    let file = locked.await.map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok(Some(file.map_err(|error| DbErr::Custom(format!("the migration lock cannot be taken: {error}")))?))
}
