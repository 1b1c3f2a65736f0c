-- Tables whose making is hard. A statement ends with a semicolon at the end of a line.

-- Keys, and none.
CREATE TABLE empty (id INT PRIMARY KEY, v TEXT);
CREATE TABLE no_key (a INT, b VARCHAR(10));
INSERT INTO no_key VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (2, '');
CREATE TABLE text_key (k VARCHAR(20) PRIMARY KEY, v INT);
INSERT INTO text_key VALUES ('b''\\', 1), ('a\n', 2), ('', 3);
CREATE TABLE bytes_key (k VARBINARY(9) PRIMARY KEY, v INT);
INSERT INTO bytes_key VALUES (x'00ff', 1), (x'', 2), (x'275c22', 3);
CREATE TABLE big_key (k BIGINT UNSIGNED PRIMARY KEY, v INT);
INSERT INTO big_key VALUES (1, 1), (9223372036854775808, 2), (18446744073709551615, 3);
CREATE TABLE pair_key (a VARCHAR(5), b INT, v INT, PRIMARY KEY (a, b), KEY (v, a));
INSERT INTO pair_key VALUES ('x', -1, 1), ('x', 2, 2), ('y', -1, 3);
CREATE TABLE unique_key (u INT UNIQUE, v VARCHAR(5));
INSERT INTO unique_key VALUES (NULL, 'n1'), (NULL, 'n2'), (-5, 'a'), (7, 'b'), (900, 'c');
CREATE TABLE prefix_key (t TEXT, b BLOB, UNIQUE (t(20)), KEY `o``k` (b(5), t(3)));
INSERT INTO prefix_key VALUES ('one', x'00'), ('two', NULL);

-- The next id is the last one there is, or is not what the rows alone would make it.
CREATE TABLE counter_tiny (id TINYINT AUTO_INCREMENT PRIMARY KEY);
INSERT INTO counter_tiny VALUES (-128), (1), (126);
CREATE TABLE counter_medium (id MEDIUMINT UNSIGNED AUTO_INCREMENT PRIMARY KEY)
    AUTO_INCREMENT = 16777214;
CREATE TABLE counter_int (v INT, id INT AUTO_INCREMENT, KEY (id)) AUTO_INCREMENT = 2147483646;
INSERT INTO counter_int VALUES (1, 5);
CREATE TABLE counter_big (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY);
INSERT INTO counter_big VALUES (1), (18446744073709551613);
CREATE TABLE counter_zero (id INT AUTO_INCREMENT PRIMARY KEY, v INT);
INSERT INTO counter_zero VALUES (1, 1), (2, 2);
UPDATE counter_zero SET id = 0 WHERE v = 1;

-- Columns that no INSERT may name.
CREATE TABLE generated (
    id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL, s VARCHAR(20) AS (CONCAT('n', a)) STORED, z INT
);
INSERT INTO generated (id, a, z) VALUES (1, 10, 100), (2, NULL, NULL);
CREATE TABLE generated_first (
    v INT AS (a * b) STORED, a INT, b INT, `o``dd` VARCHAR(30) AS (CONCAT(a, ' it''s ', v)) VIRTUAL,
    UNIQUE (v), KEY (a, v)
);
INSERT INTO generated_first (a, b) VALUES (2, 3), (-1, 1), (NULL, 1);
CREATE TABLE generated_json (d JSON, n INT AS (JSON_EXTRACT(d, '$.n')) STORED, KEY (n));
INSERT INTO generated_json (d) VALUES ('{"n": 5}'), ('{}'), (NULL);

-- What has to be quoted in the statement itself.
CREATE TABLE defaults (
    id INT PRIMARY KEY, n INT NOT NULL DEFAULT -1, s VARCHAR(50) DEFAULT 'it''s "q" é \n',
    e ENUM('a', 'b''c') DEFAULT 'b''c', b BIT(3) DEFAULT b'101', x VARBINARY(4) DEFAULT x'0027',
    d DECIMAL(9,4) DEFAULT 1.5, y DATE DEFAULT '2024-02-29', nothing INT DEFAULT NULL, must TEXT NOT NULL,
    t DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
);
INSERT INTO defaults (id, must) VALUES (1, '');
CREATE TABLE checked (
    a INT CHECK (a > 0), b INT, CONSTRAINT `it's b` CHECK (b <> 3 OR a IS NULL)
);
INSERT INTO checked VALUES (1, 2), (NULL, 3);
CREATE TABLE comments (
    a INT COMMENT 'it''s a "comment" `é` */ -- \n; %s', b INT COMMENT '',
    KEY k (b) COMMENT 'it''s a "comment" `é` */ -- \n; %s'
) COMMENT 'it''s a "comment" `é` */ -- \n; %s';
INSERT INTO comments VALUES (1, 2);

-- Partitions.
CREATE TABLE by_range (id INT PRIMARY KEY, v VARCHAR(9)) PARTITION BY RANGE (id) (
    PARTITION low VALUES LESS THAN (10) COMMENT 'it''s low', PARTITION `mi d` VALUES LESS THAN (20),
    PARTITION high VALUES LESS THAN MAXVALUE
);
INSERT INTO by_range VALUES (-1, 'a'), (15, 'b'), (2147483647, 'c');
CREATE TABLE by_day (d DATE NOT NULL, v INT) PARTITION BY RANGE COLUMNS (d) (
    PARTITION p0 VALUES LESS THAN ('2026-01-01'), PARTITION p1 VALUES LESS THAN (MAXVALUE)
);
INSERT INTO by_day VALUES ('2025-12-31', 1), ('2026-01-01', 2);
CREATE TABLE by_list (a INT) PARTITION BY LIST (a) (
    PARTITION odd VALUES IN (1, 3), PARTITION even VALUES IN (2, NULL)
);
INSERT INTO by_list VALUES (1), (2), (NULL);
CREATE TABLE by_hash (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3;
INSERT INTO by_hash VALUES (1), (2), (3), (4);
CREATE TABLE by_key (k VARCHAR(9) PRIMARY KEY) PARTITION BY KEY (k) PARTITIONS 4;
INSERT INTO by_key VALUES (''), ('a'), ('é');

-- Tables that need themselves, each other, one with a later name, and one of another schema.
CREATE TABLE tree (
    id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES tree (id) ON DELETE CASCADE
);
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 4);
CREATE TABLE egg (id INT PRIMARY KEY, hen INT);
CREATE TABLE hen (
    id INT PRIMARY KEY, egg INT,
    CONSTRAINT `laid it's é` FOREIGN KEY (egg) REFERENCES egg (id) ON DELETE SET NULL
);
INSERT INTO egg VALUES (1, NULL), (2, NULL);
INSERT INTO hen VALUES (1, 1), (2, 2);
UPDATE egg SET hen = id;
ALTER TABLE egg ADD CONSTRAINT hatched FOREIGN KEY (hen) REFERENCES hen (id);
CREATE TABLE a_child (
    id INT PRIMARY KEY, a VARCHAR(5), b INT, far INT,
    FOREIGN KEY (a, b) REFERENCES pair_key (a, b) ON UPDATE CASCADE,
    FOREIGN KEY (far) REFERENCES `select-schema`.`a parent` (id)
);
INSERT INTO a_child VALUES (1, 'x', 2, 1), (2, NULL, 7, NULL);
