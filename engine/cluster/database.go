//go:build !slim

package cluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention is how long the server remembers a run that has ended: longer than anybody asks. Forgetting runs is a person's wish,
// not a timer's.
const retention = 100 * 365 * 24 * time.Hour

// database is the SQLite file of the server.
type database struct {
	path    string
	durable bool
	start   int64
}

// starts tells apart the starts in this process: the server keeps its connections in a pool, by their settings, for as long as the
// process lives. A start must not get a connection to a file that has since been replaced.
var starts atomic.Int64

func databaseIn(o Options) database {
	return database{path: filepath.Join(o.Dir, "engine.db"), durable: o.Durable, start: starts.Add(1)}
}

// settings are the pragmas of every connection.
func (d database) settings() map[string]string {
	s := map[string]string{
		"mode":         "rwc",
		"busy_timeout": "10000", // for the moment in which a checkpoint of ours and a write of the server meet
		// With a write-ahead log, a commit is one append; readers and the writer do not wait for each other. Killed at any byte,
		// the next open takes the commits that are whole and drops the rest.
		"journal_mode": "wal",
		// NORMAL hands each commit to the kernel and waits for the disk only at a checkpoint. kill -9 loses nothing: the kernel
		// has it. A power cut or a crash of the kernel may lose the last commits, but the file stays sound.
		"synchronous":        "normal",
		"journal_size_limit": strconv.Itoa(64 << 20), // give the disk space back after a burst
		"temp_store":         "memory",
		"amlflow_start":      strconv.FormatInt(d.start, 10), // SQLite ignores pragmas that it does not know
	}
	if d.durable {
		s["synchronous"] = "full" // each commit waits for the disk
	}
	return s
}

// config is the file as the server wants it described. The server keeps to one connection when it is not told otherwise: with
// four, the writers got in each other's way (SQLITE_BUSY) and nothing was faster.
func (d database) config() *config.SQL {
	return &config.SQL{PluginName: sqliteplugin.PluginName, DatabaseName: escape(d.path), ConnectAttributes: d.settings()}
}

// escape makes a path part of a SQLite URI: the server pastes it in as it is.
func escape(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// prepare makes sure that the file is there, is one that this server wrote and can be written, and that it has the namespace.
func (d database) prepare(ctx context.Context, namespace string) error {
	if err := d.open(func(db *sql.DB) error { return d.check(ctx, db) }); err != nil {
		return err
	}
	ns, err := namespaceConfig(namespace)
	if err != nil {
		return fmt.Errorf("describing the engine's namespace %q: %w", namespace, err)
	}
	if err := sqlite.CreateNamespaces(d.config(), ns); err != nil {
		return d.wrap(err)
	}
	return nil
}

func namespaceConfig(name string) (*sqlite.NamespaceConfig, error) {
	ns, err := sqlite.NewNamespaceConfig(clusterName, name, false, nil)
	if err != nil {
		return nil, err
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	return ns, nil
}

// open lends a connection of our own, beside the server's.
func (d database) open(use func(*sql.DB) error) error {
	var pragmas []string
	for k, v := range d.settings() {
		if k != "mode" {
			pragmas = append(pragmas, "_pragma="+k+"="+v)
		}
	}
	db, err := sql.Open("sqlite", "file:"+escape(d.path)+"?mode=rwc&_txlock=immediate&"+strings.Join(pragmas, "&"))
	if err != nil {
		return d.wrap(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	return use(db)
}

// check does all in one transaction, so that a kill leaves either no schema or the whole one with its version.
func (d database) check(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return d.wrap(err)
	}
	defer func() { _ = tx.Rollback() }() // without effect after the commit
	var tables int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master`).Scan(&tables); err != nil {
		return d.wrap(err)
	}
	if tables == 0 {
		err = d.create(tx)
	} else {
		err = d.checkVersion(ctx, tx)
		if err == nil {
			err = d.checkPages(ctx, tx)
		}
	}
	if err != nil {
		return err
	}
	// A write on each start shows a full or read-only disk here, in words, and not later in the middle of a run.
	if _, err := tx.ExecContext(ctx, `UPDATE amlflow_engine SET started = ?`, time.Now().UTC().Format(time.RFC3339)); err != nil {
		return d.wrap(err)
	}
	return d.wrap(tx.Commit())
}

func (d database) create(tx *sql.Tx) error {
	if err := sqlite.SetupSchemaOnDB(schemaWriter{tx: tx}); err != nil {
		return d.wrap(err)
	}
	if _, err := tx.Exec(`CREATE TABLE amlflow_engine (server TEXT NOT NULL, started TEXT NOT NULL)`); err != nil {
		return d.wrap(err)
	}
	_, err := tx.Exec(`INSERT INTO amlflow_engine VALUES (?, '')`, headers.ServerVersion)
	return d.wrap(err)
}

// schemaWriter lets the server's schema be written inside our transaction.
type schemaWriter struct {
	sqlplugin.AdminDB // only Exec is called
	tx                *sql.Tx
}

func (w schemaWriter) Exec(statement string, args ...any) error {
	_, err := w.tx.Exec(statement, args...)
	return err
}

// checkVersion refuses a file of another server: Temporal does not migrate SQLite files, and a newer or older server would damage it.
func (d database) checkVersion(ctx context.Context, tx *sql.Tx) error {
	var version string
	err := tx.QueryRowContext(ctx, `SELECT server FROM amlflow_engine`).Scan(&version)
	if sqliteCode(err) == codeError || errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %q is a SQLite file, but not an engine's: move it away, or choose another state folder", ErrDatabase, d.path)
	}
	if err != nil {
		return d.wrap(err)
	}
	if version != headers.ServerVersion {
		return fmt.Errorf("%w: %q was made by Temporal %s, this amlflow carries %s: let the amlflow that made it finish its runs, "+
			"then move the file away; a new one is made", ErrOtherVersion, d.path, version, headers.ServerVersion)
	}
	return nil
}

// checkAtMost bounds the size of a file whose pages are all looked at on each start, which takes 7 ms a megabyte. Damage in a larger
// one is found when the server reads it, and ends in Failed.
const checkAtMost = 8 << 20

func (d database) checkPages(ctx context.Context, tx *sql.Tx) error {
	if file, err := os.Stat(d.path); err != nil || file.Size() > checkAtMost {
		return nil
	}
	var verdict string
	if err := tx.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return d.wrap(err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s: %s", ErrDatabase, damaged(d.path), verdict)
	}
	return nil
}

// tidy folds the write-ahead log into the file, so that a stopped engine leaves one small file to copy.
func (d database) tidy() {
	_ = d.open(func(db *sql.DB) error { // the next start does it if this one cannot
		_, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
		return err
	})
}
