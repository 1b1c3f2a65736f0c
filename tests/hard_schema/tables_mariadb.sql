-- What a TiDB has not: defaults that compute.
CREATE TABLE computed_defaults (
    a INT DEFAULT (1 + 2), b INT DEFAULT (a * 2), u CHAR(36) DEFAULT (UUID()),
    s VARCHAR(40) DEFAULT (CONCAT('it''s ', '\\', a)), d DATE DEFAULT (CURRENT_DATE + INTERVAL 1 DAY)
);
INSERT INTO computed_defaults (a) VALUES (7);

-- What the SHOW CREATE TABLE of a TiDB leaves unquoted, so that its dump cannot be loaded.
CREATE TABLE unquoted (
    id INT PRIMARY KEY COMMENT 'back\\slash', v VARCHAR(9) DEFAULT 'back\\', e ENUM('a\\', 'b')
) COMMENT '\\' PARTITION BY RANGE (id) (PARTITION `back``quote` VALUES LESS THAN (10));
INSERT INTO unquoted (id, e) VALUES (1, 'a\\');
