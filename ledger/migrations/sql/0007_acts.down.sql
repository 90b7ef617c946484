DROP INDEX batch_of_an_act;
