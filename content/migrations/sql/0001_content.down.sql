DROP TABLE content_act, content;
