BEGIN TRANSACTION;
CREATE TABLE assistants (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            body TEXT NOT NULL);
INSERT INTO "assistants" VALUES(1,'asst_old',1790000000,'{"id":"asst_old","object":"assistant","created_at":1790000000,"name":"Analyst","description":null,"model":"demo","instructions":null,"tools":[{"type":"code_interpreter"}],"top_p":1.0,"temperature":1.0,"reasoning_effort":null,"tool_resources":{},"metadata":{},"response_format":"auto"}');
CREATE TABLE containers (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            last_active_at INTEGER NOT NULL,
            name TEXT NOT NULL,
            memory_limit TEXT,
            idle_minutes INTEGER);
INSERT INTO "containers" VALUES(1,'cntr_old',1790000000,1790000060,'größe','4g',20);
CREATE TABLE events (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (run_id, seq)) WITHOUT ROWID;
INSERT INTO "events" VALUES('run_old',1,'thread.run.created','{}');
INSERT INTO "events" VALUES('run_old',2,'thread.run.queued','{}');
CREATE TABLE files (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            purpose TEXT NOT NULL,
            expires_at INTEGER,
            sha256 TEXT NOT NULL,
            mime TEXT NOT NULL,
            thread_id TEXT,
            run_id TEXT,
            step_id TEXT,
            body TEXT NOT NULL);
INSERT INTO "files" VALUES(1,'file-old',1790000000,'assistants',NULL,'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad','text/csv',NULL,NULL,NULL,'{"object":"file","id":"file-old","purpose":"assistants","filename":"größe.csv","bytes":3,"created_at":1790000000,"expires_at":null,"status":"processed","status_details":null}');
CREATE TABLE instances (
            id TEXT PRIMARY KEY,
            started_at INTEGER NOT NULL,
            pid INTEGER NOT NULL,
            host TEXT NOT NULL);
CREATE TABLE messages (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
            run_id TEXT,
            role TEXT NOT NULL,
            excerpt TEXT NOT NULL,
            words TEXT NOT NULL,
            body TEXT NOT NULL);
INSERT INTO "messages" VALUES(1,'msg_old1',1790000000,'thread_old',NULL,'user','Draw it','draw it','{"id":"msg_old1","object":"thread.message","created_at":1790000000,"assistant_id":null,"thread_id":"thread_old","run_id":null,"status":"completed","incomplete_details":null,"incomplete_at":null,"completed_at":null,"role":"user","content":[{"type":"text","text":{"value":"Draw it","annotations":[]}}],"attachments":[],"metadata":{}}');
INSERT INTO "messages" VALUES(2,'msg_old2',1790000000,'thread_old','run_old','assistant','Here','here','{"id":"msg_old2","object":"thread.message","created_at":1790000000,"assistant_id":"asst_old","thread_id":"thread_old","run_id":"run_old","status":"completed","incomplete_details":null,"incomplete_at":null,"completed_at":null,"role":"assistant","content":[{"type":"text","text":{"value":"Here","annotations":[]}}],"attachments":[],"metadata":{}}');
CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL);
INSERT INTO "migrations" VALUES(1,'m0001_objects',1790000000);
INSERT INTO "migrations" VALUES(2,'m0002_containers',1790000000);
INSERT INTO "migrations" VALUES(3,'m0003_touched',1790000000);
CREATE TABLE runs (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
            assistant_id TEXT NOT NULL,
            status TEXT NOT NULL,
            active INTEGER NOT NULL,
            owner TEXT NOT NULL,
            body TEXT NOT NULL);
INSERT INTO "runs" VALUES(1,'run_old',1790000000,'thread_old','asst_old','in_progress',1,'0123456789abcdef','{"id":"run_old","object":"thread.run","created_at":1790000000,"assistant_id":"asst_old","thread_id":"thread_old","status":"in_progress","started_at":null,"expires_at":1790000600,"cancelled_at":null,"failed_at":null,"completed_at":null,"required_action":null,"last_error":null,"model":"demo","instructions":null,"tools":[],"tool_resources":{},"metadata":{},"temperature":1.0,"top_p":1.0,"reasoning_effort":null,"max_completion_tokens":null,"max_prompt_tokens":null,"truncation_strategy":{"type":"auto","last_messages":null},"incomplete_details":null,"usage":null,"response_format":"auto","tool_choice":"auto","parallel_tool_calls":true}');
CREATE TABLE steps (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            status TEXT NOT NULL,
            body TEXT NOT NULL);
INSERT INTO "steps" VALUES(1,'step_old',1790000000,'run_old','in_progress','{"id":"step_old","object":"thread.run.step","created_at":1790000000,"run_id":"run_old","assistant_id":"asst_old","thread_id":"thread_old","type":"message_creation","status":"in_progress","cancelled_at":null,"completed_at":null,"expires_at":null,"expired_at":null,"failed_at":null,"last_error":null,"step_details":{"type":"message_creation","message_creation":{"message_id":"msg_x"}},"usage":null,"metadata":{}}');
CREATE TABLE threads (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            title TEXT NOT NULL,
            body TEXT NOT NULL, touched_at INTEGER NOT NULL DEFAULT 0);
INSERT INTO "threads" VALUES(1,'thread_old',1790000000,'grösse','{"id":"thread_old","object":"thread","created_at":1790000000,"metadata":{"title":"Größe"},"tool_resources":{}}',0);
CREATE TABLE upload_parts (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            upload_id TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
            sha256 TEXT NOT NULL,
            bytes INTEGER NOT NULL);
INSERT INTO "upload_parts" VALUES(1,'part_old',1790000000,'upload_old','ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',3);
CREATE TABLE uploads (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            status TEXT NOT NULL,
            expires_at INTEGER NOT NULL,
            mime TEXT NOT NULL,
            expires_after INTEGER,
            body TEXT NOT NULL);
INSERT INTO "uploads" VALUES(1,'upload_old',1790000000,'pending',1790003600,'text/csv',3600,'{"id":"upload_old","object":"upload","bytes":6,"created_at":1790000000,"filename":"x.csv","purpose":"assistants","status":"pending","expires_at":1790003600}');
CREATE INDEX messages_of_thread ON messages (thread_id);
CREATE INDEX messages_of_run ON messages (thread_id, run_id);
CREATE INDEX runs_of_thread ON runs (thread_id);
CREATE UNIQUE INDEX runs_active ON runs (thread_id) WHERE active = 1;
CREATE INDEX runs_created ON runs (created_at);
CREATE INDEX steps_of_run ON steps (run_id);
CREATE INDEX files_of_purpose ON files (purpose);
CREATE INDEX files_of_content ON files (sha256);
CREATE INDEX files_of_thread ON files (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX uploads_pending ON uploads (expires_at) WHERE status = 'pending';
CREATE INDEX parts_of_upload ON upload_parts (upload_id);
CREATE INDEX parts_of_content ON upload_parts (sha256);
CREATE INDEX containers_of_name ON containers (name);
COMMIT;
